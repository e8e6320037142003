import { type Problem, RetortError } from "../shared/base/errors.js";
import { parseTemplate } from "../shared/base/jinja/text-template.js";
import { within } from "../shared/base/time-limit.js";
import { defaultTemplate, rewardProblems } from "../shared/flow/runs/rewards.js";
import type { RewardSpec } from "../shared/gen/retort/v1/run_spec_pb.js";
import { textMetrics } from "../shared/ml/text/metrics/table.js";
import { tasks } from "../shared/tasks/table.js";
import { taskProblems } from "../shared/tasks/task-problems.js";

/** A completion with what it is judged by. */
export interface Input {
  readonly prompt: string;
  readonly completion: string;
  readonly reference: string;
  readonly completionTokens: number;
  /** What an environment paid for its turns; undefined where there was none. */
  readonly environmentReward?: number | undefined;
}

/** One term for one completion: a number, or why there is none. */
export type Term = number | { readonly failure: string };

/** The text that a classifier reads, and the second one of a pair. */
export interface ClassifierText {
  readonly text: string;
  readonly pair?: string;
}

/** Milliseconds that one completion may take: of a pattern or template that a user wrote, and of what we wrote. */
const [foreignMs, ownMs] = [1000, 10_000];

/** After so many completions of a call that took too long, the others have but this many milliseconds. */
const [patience, hurriedMs] = [10, 100];

type Reward = (input: Input, spec: RewardSpec) => number;

/** Rewards that need nothing but the texts, by the name that specs use. */
export const rewards: Readonly<Record<string, Reward>> = {
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

/** What the thread of texts does: all that follows a pattern or a template, or takes long for long texts. */
export class TextRewards {
  /** What is wrong with a call's rewards; their templates are rendered to find out. */
  problems(specs: readonly RewardSpec[]): Problem[] {
    return [...rewardProblems(specs), ...taskProblems(specs)];
  }

  /**
   * Judges completions by a reward of {@link rewards}.
   *
   * @param slow how many completions of the same call took too long already
   * @throws InvalidArgument if the pattern is none
   */
  judge(inputs: readonly Input[], spec: RewardSpec, slow: number): Term[] {
    const reward = rewards[spec.kind]!;
    const foreign = spec.kind === "regex";
    if (foreign) compiled(spec.pattern);
    return each(inputs, spec.kind, foreign ? foreignMs : ownMs, slow, (input) => reward(input, spec));
  }

  /**
   * The texts that a classifier reads of completions.
   *
   * @throws InvalidArgument with what a template's syntax lacks
   */
  render(
    inputs: readonly Input[],
    { template, pairTemplate }: RewardSpec,
    slow: number,
  ): (ClassifierText | { readonly failure: string })[] {
    const text = parseTemplate(template || defaultTemplate);
    const pair = pairTemplate ? parseTemplate(pairTemplate) : undefined;
    return each(inputs, "the template", foreignMs, slow, (input) => {
      const values = { ...input };
      return { text: text.render(values), ...(pair ? { pair: pair.render(values) } : {}) };
    });
  }
}

/** Works through completions, each with a limit of its own; what takes longer or throws is that completion's failure. */
function each<T>(inputs: readonly Input[], what: string, ms: number, slow: number, work: (input: Input) => T): (T | { failure: string })[] {
  let late = slow;
  return inputs.map((input) => {
    const limit = late < patience ? ms : Math.min(ms, hurriedMs);
    try {
      const done = within(limit, () => work(input));
      if (done) return done.value;
      late++;
      return { failure: `${what} ${tookTooLong} ${limit / 1000} s` };
    } catch (error) {
      return { failure: RetortError.from(error).message };
    }
  });
}

/** By what a failure says that there was not enough time. */
export const tookTooLong = "took longer than";

function compiled(pattern: string): RegExp {
  try {
    return new RegExp(pattern, "u");
  } catch (error) {
    throw new RetortError("InvalidArgument", `reward regex: ${(error as Error).message}`, { fieldPath: "rewards.pattern" });
  }
}
