import type { RunSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { type Phase, type ResolvedRun, resolveSampling } from "./resolve.js";

/** How long completions may get, in tokens, and the field of the spec that says it. */
export interface NewTokens {
  readonly maxNewTokens: number;
  readonly field: string;
  /** False where the spec leaves it to the default. */
  readonly given: boolean;
}

type Spec = Pick<RunSpec, "phases" | "data" | "evaluation">;

/** The longest completions that the student samples to train on; undefined if it samples none. */
export const sampledTokens = ({ phases: given }: Spec, { phases }: ResolvedRun): NewTokens | undefined =>
  longestOf(given, phases, ({ lambda, lambdaEnd }) => Math.max(lambda, lambdaEnd) > 0);

/** The longest completions of evaluations; undefined if nothing is evaluated. */
export function evaluatedTokens({ phases: given }: Spec, { phases, evaluation }: ResolvedRun): NewTokens | undefined {
  if (!evaluation) return undefined;
  const { maxNewTokens } = evaluation;
  return maxNewTokens ? { maxNewTokens, field: "evaluation.maxNewTokens", given: true } : longestOf(given, phases, () => true);
}

/** The longest completions that a teacher writes for the dataset; undefined if none writes. */
export function writtenTokens({ data, phases: given }: Spec, { phases: [first] }: ResolvedRun): NewTokens | undefined {
  if (!data?.generate || !first) return undefined;
  const { sampling } = data.generate;
  if (!sampling) return longestOf(given.slice(0, 1), [first], () => true);
  return {
    maxNewTokens: resolveSampling(sampling).maxNewTokens,
    field: "data.generate.sampling.maxNewTokens",
    given: sampling.maxNewTokens !== undefined,
  };
}

function longestOf(given: RunSpec["phases"], phases: readonly Phase[], counts: (phase: Phase) => boolean): NewTokens | undefined {
  const lengths = phases.map((phase) => (counts(phase) ? phase.sampling.maxNewTokens : 0));
  const maxNewTokens = Math.max(0, ...lengths);
  if (maxNewTokens === 0) return undefined;
  const i = lengths.indexOf(maxNewTokens);
  return { maxNewTokens, field: `phases[${i}].sampling.maxNewTokens`, given: given[i]?.sampling?.maxNewTokens !== undefined };
}
