import { type Problem, RetortError } from "../../base/errors.js";
import type { HiddenDtype } from "../signals/hidden-dtype.js";
import type { Signal } from "../signals/score.js";
import { type SignalKind, signals } from "../signals/table.js";
import { type DivergenceOptions, divergences } from "./divergences.js";
import { asksTeacher, type ObjectiveName, refusal } from "./permits.js";
import { isRankDistance } from "./ranked.js";

/**
 * What one optimiser step minimises, over the completion tokens n of its sequences y:
 *
 *   Σ_y Σ_n w_yn ( α · distance_yn − (1−α) · A_y · ρ_yn · log q(y_n) )
 *
 * `distance` is a divergence between distributions, or a loss on the given token (`cross_entropy`, `opd`, `constant_advantage`); w are the
 * normalisation's weights; A the advantage; ρ the clipped importance ratio, held constant.
 */
export interface Objective extends DivergenceOptions {
  readonly divergence: ObjectiveName;
  readonly signal: SignalKind;
  /** Classes of `top_k` and `student_top_k`, draws of `random_k`. */
  readonly k: number;
  /** `hidden`: element type of the states. */
  readonly hiddenDtype: HiddenDtype;
  readonly alpha: number;
  /** Divides the student's logits in a divergence between distributions. */
  readonly studentTemperature: number;
  /** What the teacher's log-probabilities were made with; `hidden` states are divided by it here. */
  readonly teacherTemperature: number;
  /** Multiply a divergence between distributions by studentTemperature². */
  readonly temperatureSquared: boolean;
  /** Factor of what `opd` and `constant_advantage` weigh a token with. */
  readonly klCoef: number;
  /** opd: subtract the log-ratio's expectation (vOPD). */
  readonly klBaseline: boolean;
  /** constant_advantage: tokens that the student gives less than this probability have the advantage. */
  readonly lowProbability: number;
  readonly ratioClip: number;
  readonly normalisation: "sequence" | "token";
  /** What the weights of several teachers divide: see `rowWeights`. */
  readonly balance: "none" | "teachers";
  /** Which completion tokens count; absent: all. The w of the others are 0, and the mean is that of those that count. */
  readonly tokens?: TokenSelection | undefined;
}

/** Which of a completion's tokens count; as TokenSelectionSpec in run_spec.proto. */
export interface TokenSelection {
  readonly by: "prefix" | "suffix" | "entropy" | "divergence" | "random";
  /** In (0, 1]. */
  readonly share: number;
}

/** True if the objective compares distributions. */
export const comparesDistributions = ({ alpha, divergence }: Objective): boolean =>
  alpha > 0 && (divergence in divergences || isRankDistance(divergence));

/** True if the objective compares distributions by rank, whatever their classes are. */
export const comparesRanks = ({ alpha, divergence }: Pick<Objective, "alpha" | "divergence">): boolean =>
  alpha > 0 && isRankDistance(divergence);

/** True if a teacher must score the sequences at all. */
export const needsTeacher = ({ alpha, divergence }: Objective): boolean => alpha > 0 && asksTeacher(divergence);

/** True if each row needs more of the teacher than the given token's log-probability. */
export const readsSignal = (objective: Objective): boolean =>
  comparesDistributions(objective) || (needsTeacher(objective) && (objective.klBaseline || signals[objective.signal].needsHead));

/** What the objective asks of a teacher. */
export const signalOf = ({ signal, k, teacherTemperature, hiddenDtype }: Objective): Signal => ({
  kind: signal,
  k,
  temperature: teacherTemperature,
  hiddenDtype,
});

/**
 * Everything that is wrong with an objective's settings; paths begin with `objective`.
 *
 * @param vocab size of the student's vocabulary, if it is known
 */
export function objectiveProblems(objective: Objective, vocab = Number.MAX_SAFE_INTEGER): Problem[] {
  const largest = needsTeacher(objective) ? signals[objective.signal].largestK?.(vocab) : undefined;
  const bounds: readonly (readonly [field: keyof Objective, name: string, lowest: number, highest: number])[] = [
    ["alpha", "alpha", 0, 1],
    ["beta", "beta", 0, 1],
    ["skew", "skew", 0, 1],
    ["weight", "weight", 0, 1],
    ["headMass", "headMass", 1e-6, 1],
    ["entropyThreshold", "entropyThreshold", 0, Number.MAX_VALUE],
    ["forwardWeight", "forwardWeight", 0, Number.MAX_VALUE],
    ["studentTemperature", "studentTemperature", 1e-3, 1e3],
    ["teacherTemperature", "teacherTemperature", 1e-3, 1e3],
    ["ratioClip", "ratioClip", 1, Number.MAX_VALUE],
    ["klCoef", "klCoef", 0, Number.MAX_VALUE],
    ["lowProbability", "lowProbability", 0, 1],
    ...(largest === undefined ? [] : [["k", "topK", 1, largest] as const]),
  ];
  const problems = bounds.flatMap(([field, name, lowest, highest]) => {
    const value = objective[field] as number;
    if (value >= lowest && value <= highest) return [];
    const whose = field === "k" && highest === vocab ? ", the vocabulary's size" : "";
    return [{ fieldPath: `objective.${name}`, description: `is ${value}; it must lie in [${lowest}, ${highest}${whose}]` }];
  });
  const { tokens } = objective;
  if (tokens && !(tokens.share > 0 && tokens.share <= 1))
    problems.push({ fieldPath: "objective.tokens.share", description: `is ${tokens.share}; it must lie in (0, 1]` });
  if (tokens?.by === "divergence" && !needsTeacher(objective))
    problems.push({ fieldPath: "objective.tokens.by", description: "is divergence, and this objective asks no teacher; use entropy" });
  const refused = needsTeacher(objective) && refusal(objective.divergence, objective.signal, objective.klBaseline);
  return refused ? [...problems, { fieldPath: "objective.signal", description: refused }] : problems;
}

/** Checks an objective's settings. @throws InvalidArgument that lists everything that is wrong */
export function checkObjective(objective: Objective, vocab: number): void {
  const problems = objectiveProblems(objective, vocab);
  if (problems.length > 0) throw RetortError.ofProblems("objective", problems);
}
