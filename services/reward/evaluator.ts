import { RetortError } from "../shared/base/errors.js";
import type { EvaluateInput } from "../shared/gen/retort/v1/reward_pb.js";
import type { RewardSpec } from "../shared/gen/retort/v1/run_pb.js";
import { textMetrics } from "../shared/ml/text/metrics/table.js";
import { tasks } from "../shared/ml/text/tasks/table.js";

/** What a completion got: the weighted sum, and its terms by the reward's name. */
export interface Evaluation {
  readonly value: number;
  readonly components: Readonly<Record<string, number>>;
  /** Why there is no reward; then the value does not count. */
  readonly failure?: string;
}

/** One term for one completion: a number, or why there is none. */
export type Term = number | { readonly failure: string };

/** A completion with what it is judged by. */
export type Input = Pick<EvaluateInput, "prompt" | "completion" | "reference" | "completionTokens">;

/** Rewards that more than the texts is needed for: each judges a batch, one term per completion. */
export interface Judges {
  /** A classifier in a worker thread. */
  readonly classifier: (inputs: readonly Input[], spec: RewardSpec) => Promise<readonly Term[]>;
  /** Another server of RewardService. */
  readonly external: (inputs: readonly Input[], spec: RewardSpec) => Promise<readonly Term[]>;
}

/** Rewards that need nothing but the texts, by the name that specs use. */
export const rewards: Readonly<Record<string, (input: Input, spec: RewardSpec) => number>> = {
  ...Object.fromEntries(
    Object.entries(textMetrics).map(([name, metric]) => [name, ({ completion, reference }: Input) => metric(completion, reference)]),
  ),
  /** 1 up to the target, then falling in proportion to 0 at twice the target. */
  length: ({ completionTokens }, { targetTokens }) => Math.max(0, Math.min(1, 2 - completionTokens / Math.max(1, targetTokens))),
  /** 1 if the pattern is found. */
  regex: ({ completion }, { pattern }) => (new RegExp(pattern, "u").test(completion) ? 1 : 0),
  /** A generated task's own check. */
  task: ({ prompt, completion }, { task }) => {
    const generated = tasks[task];
    if (!generated) throw new Error(`there is no generated task "${task}"; known: ${Object.keys(tasks).join(", ")}`);
    return generated.check(prompt, completion);
  },
};

/** Every reward's name. */
export const rewardKinds = [...Object.keys(rewards), "classifier", "external"].sort();

/**
 * Evaluates completions: the weighted sum of the rewards.
 * A completion for which a reward fails, or is not finite, has a failure that names the reward; the others keep theirs.
 *
 * @throws InvalidArgument for an unknown reward or a broken pattern
 */
export async function evaluate(inputs: readonly Input[], specs: readonly RewardSpec[], judges: Judges): Promise<Evaluation[]> {
  const terms = await Promise.all(specs.map((spec) => evaluateTerm(inputs, spec, judges)));
  return inputs.map((_, i) =>
    combine(
      specs,
      terms.map((values) => values[i]!),
    ),
  );
}

function combine(specs: readonly RewardSpec[], terms: readonly Term[]): Evaluation {
  const components: Record<string, number> = {};
  let value = 0;
  for (const [t, { kind, weight, address, model }] of specs.entries()) {
    const term = terms[t]!;
    const where = kind === "external" ? ` at ${address}` : kind === "classifier" ? ` ${model}` : "";
    const name = `${kind}${where}`;
    if (typeof term === "object") return { value: 0, components: {}, failure: `reward ${name} failed: ${term.failure}` };
    if (!Number.isFinite(term)) return { value: 0, components: {}, failure: `reward ${name} gave ${term}; a reward must be finite` };
    components[keyOf(kind, components)] = term;
    value += (weight ?? 1) * term;
  }
  return { value, components };
}

/** A term's name: its kind, and of a second one of that kind `kind 2`. */
function keyOf(kind: string, components: Readonly<Record<string, number>>): string {
  let count = 1;
  const key = () => (count === 1 ? kind : `${kind} ${count}`);
  while (key() in components) count++;
  return key();
}

async function evaluateTerm(inputs: readonly Input[], spec: RewardSpec, judges: Judges): Promise<readonly Term[]> {
  if (spec.kind === "classifier") return judges.classifier(inputs, spec);
  if (spec.kind === "external") {
    const values = await judges.external(inputs, spec);
    if (values.length !== inputs.length)
      throw new RetortError("DataLoss", `the reward server ${spec.address} gave ${values.length} rewards for ${inputs.length} completions`);
    return values;
  }
  const reward = rewards[spec.kind];
  if (!reward)
    throw new RetortError("InvalidArgument", `there is no reward "${spec.kind}"; known: ${rewardKinds.join(", ")}`, {
      fieldPath: "rewards.kind",
    });
  try {
    return inputs.map((input) => reward(input, spec));
  } catch (error) {
    throw new RetortError("InvalidArgument", `reward ${spec.kind}: ${(error as Error).message}`, { cause: error });
  }
}
