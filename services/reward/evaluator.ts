import { RetortError } from "../shared/base/errors.js";
import type { RewardSpec } from "../shared/gen/retort/v1/run_spec_pb.js";
import { type Input, rewards, type Term } from "./text-rewards.js";

export type { Input, Term };

/** What a completion got: the weighted sum, and its terms by the reward's name. */
export interface Evaluation {
  readonly value: number;
  readonly components: Readonly<Record<string, number>>;
  /** Why there is no reward; then the value does not count. */
  readonly failure?: string;
}

/** Who judges a batch by a reward: one term per completion. */
export interface Judges {
  /** A thread that holds what follows patterns and templates, and measures that take long for long texts. */
  readonly text: (inputs: readonly Input[], spec: RewardSpec) => Promise<readonly Term[]>;
  /** A classifier in a worker thread. */
  readonly classifier: (inputs: readonly Input[], spec: RewardSpec) => Promise<readonly Term[]>;
  /** Another server of RewardService. */
  readonly external: (inputs: readonly Input[], spec: RewardSpec) => Promise<readonly Term[]>;
}

/** Every reward's name. */
export const rewardKinds = [...Object.keys(rewards), "classifier", "environment", "external"].sort();

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

/** Largest size of a term: beyond it the sums of a batch leave what float32 can hold. */
const largest = 1e20;

function combine(specs: readonly RewardSpec[], terms: readonly Term[]): Evaluation {
  const components: Record<string, number> = {};
  let value = 0;
  for (const [t, { kind, weight, address, model }] of specs.entries()) {
    const term = terms[t]!;
    const where = kind === "external" ? ` at ${address}` : kind === "classifier" ? ` ${model}` : "";
    const name = `${kind}${where}`;
    if (typeof term === "object") return { value: 0, components: {}, failure: `reward ${name} failed: ${term.failure}` };
    if (!Number.isFinite(term)) return { value: 0, components: {}, failure: `reward ${name} gave ${term}; a reward must be finite` };
    if (Math.abs(term) > largest)
      return { value: 0, components: {}, failure: `reward ${name} gave ${term}; a reward must lie within ±${largest}` };
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

const notPaid = "no environment has paid for the completion";

async function evaluateTerm(inputs: readonly Input[], spec: RewardSpec, judges: Judges): Promise<readonly Term[]> {
  if (spec.kind === "classifier") return judges.classifier(inputs, spec);
  if (spec.kind === "environment") return inputs.map(({ environmentReward }) => environmentReward ?? { failure: notPaid });
  if (spec.kind === "external") {
    const values = await judges.external(inputs, spec);
    if (values.length !== inputs.length)
      throw new RetortError("DataLoss", `the reward server ${spec.address} gave ${values.length} rewards for ${inputs.length} completions`);
    return values;
  }
  if (!Object.hasOwn(rewards, spec.kind))
    throw new RetortError("InvalidArgument", `there is no reward "${spec.kind}"; known: ${rewardKinds.join(", ")}`, {
      fieldPath: "rewards.kind",
    });
  return judges.text(inputs, spec);
}
