import type { Phase, ResolvedRun } from "../../shared/flow/runs/resolve.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { Tokenizer } from "../../shared/ml/text/tokenizer.js";
import type { SpecWarning } from "./checked-run.js";

/** Share of the rows that is hardly any. */
const fewRows = 0.05;

/** A metric or reward that asks for the reference word for word, and how long what it judges may be. */
interface Exact {
  readonly name: string;
  /** The field that bounds the completions. */
  readonly field: string;
  readonly maxNewTokens: number;
}

/**
 * Warns of completions that are too short to ever be the reference, where they are compared word for word: of all rows, or of nearly all. What is
 * shorter in the metric's eyes (normalized_match, numeric) can't be told by its tokens.
 *
 * @param of which rows these are
 */
export function referenceWarnings(
  spec: RunSpecValid,
  run: ResolvedRun,
  of: "data" | "evaluation",
  references: readonly string[],
  tokenizer: Tokenizer,
): SpecWarning[] {
  const exact = [...(of === "evaluation" || run.evaluation?.holdOut ? evaluated(run) : []), ...(of === "data" ? rewarded(spec, run) : [])];
  const given = references.filter((reference) => reference !== "");
  if (exact.length === 0 || given.length === 0) return [];
  const lengths = tokenizer.encodeAll(given).map(({ length }) => length);
  const shortest = lengths.reduce((a, b) => Math.min(a, b));
  return exact.flatMap(({ name, field, maxNewTokens }) => {
    const long = lengths.filter((length) => length > maxNewTokens).length;
    if (lengths.length - long >= fewRows * lengths.length) return [];
    const most =
      long === lengths.length ? "can never be 1" : `can be 1 for at most ${lengths.length - long} of the first ${lengths.length} rows`;
    const message = `is ${maxNewTokens}, and references have ${shortest} tokens or more: ${name} ${most}; raise it, or compare otherwise`;
    return [{ field, message }];
  });
}

/** The metric of evaluations: at the longest completions that one of them has. */
function evaluated({ evaluation, phases }: ResolvedRun): Exact[] {
  if (!evaluation || (evaluation.metric !== "" && evaluation.metric !== "exact_match")) return [];
  const { maxNewTokens } = evaluation;
  return [
    maxNewTokens ? { name: "exact_match", field: "evaluation.maxNewTokens", maxNewTokens } : { name: "exact_match", ...longest(phases) },
  ];
}

/** The rewards of phases. */
const rewarded = ({ rewards }: RunSpecValid, { phases }: ResolvedRun): Exact[] =>
  rewards.some(({ kind }) => kind === "exact_match") ? [{ name: "the reward exact_match", ...longest(phases) }] : [];

function longest(phases: readonly Phase[]): Pick<Exact, "field" | "maxNewTokens"> {
  const lengths = phases.map(({ sampling }) => sampling.maxNewTokens);
  const maxNewTokens = lengths.reduce((a, b) => Math.max(a, b), 0);
  return { field: `phases[${lengths.indexOf(maxNewTokens)}].sampling.maxNewTokens`, maxNewTokens };
}
