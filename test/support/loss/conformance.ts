import { float32, type Tensor } from "../../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../../services/shared/ml/losses/objective.js";
import { headDigest } from "../../../services/shared/ml/models/model.js";
import type { Score } from "../../../services/shared/ml/signals/score.js";
import type { TrainSequence } from "../../../services/shared/ml/training/batch.js";
import { logSoftmaxRows } from "./distributions.js";
import { plainObjective } from "./loss.js";

type Number = number | null;

/** A batch of test/golden/conformance/inputs.json; its README says what the fields hold. */
export interface ConformanceInput {
  readonly vocab: number;
  readonly ids: number[][];
  readonly mask: number[][];
  readonly prompt_lengths: number[];
  readonly completion_lengths: number[];
  readonly student_logits: number[][][];
  readonly teacher_logits: Number[][][];
  readonly teacher_head: number[][];
  readonly sampler_logprobs: number[][];
  readonly advantages: number[];
}

/** A case of test/golden/conformance/cases. */
export interface ConformanceCase {
  readonly input: string;
  readonly objective: Pick<Objective, "divergence" | "signal" | "k" | "beta" | "skew" | "weight" | "alpha" | "normalisation"> & {
    readonly normalize_jsd: boolean;
    readonly student_temperature: number;
    readonly teacher_temperature: number;
    readonly temperature_squared: boolean;
    readonly kl_coef: number;
    readonly kl_baseline: boolean;
    readonly ratio_clip: number;
    readonly head_mass: number;
    readonly entropy_threshold: number;
    readonly forward_weight: number;
    readonly prefix_tokens: number;
  };
  readonly tolerance: { readonly rtol: number; readonly atol: number };
  readonly value: number;
  readonly gradient: number[][];
  readonly signal?: {
    readonly ids?: number[][];
    readonly logprobs?: Number[][];
    readonly tail?: Number[];
    readonly hidden?: number[][];
    readonly counts?: number[][];
    readonly entropy?: number[];
  };
}

/** The case's settings by our names. */
export function objectiveOf({ objective: o }: ConformanceCase): Objective {
  const { divergence, signal, k, beta, skew, weight, alpha, normalisation } = o;
  return {
    ...plainObjective,
    ...{ divergence, signal, k, beta, skew, weight, alpha, normalisation },
    normalizeJsd: o.normalize_jsd,
    studentTemperature: o.student_temperature,
    teacherTemperature: o.teacher_temperature,
    temperatureSquared: o.temperature_squared,
    klCoef: o.kl_coef,
    klBaseline: o.kl_baseline,
    ratioClip: o.ratio_clip,
    headMass: o.head_mass,
    entropyThreshold: o.entropy_threshold,
    forwardWeight: o.forward_weight,
  };
}

/** The weights that turn the input's hidden states into logits. */
export const headOf = ({ teacher_head }: ConformanceInput): Tensor<"float32"> =>
  float32(teacher_head.flat(), [teacher_head.length, teacher_head[0]!.length]);

/** 1 where a position counts: those of the completion, or of its first tokens. */
export function countedOf({ objective: { prefix_tokens } }: ConformanceCase, { mask }: ConformanceInput): number[][] {
  return mask.map((row) => {
    let seen = 0;
    return row.map((counted) => {
      seen += counted;
      return counted && (prefix_tokens === 0 || seen <= prefix_tokens) ? 1 : 0;
    });
  });
}

/** The batch as the trainer takes it, with the teacher's scores for the case's signal. */
export function trainSequences(value: ConformanceCase, input: ConformanceInput): TrainSequence[] {
  const { prefix_tokens } = value.objective;
  let row = 0;
  return input.ids.map((ids, b) => {
    const [prompt, whole] = [input.prompt_lengths[b]!, input.completion_lengths[b]!];
    const completion = prefix_tokens ? Math.min(prefix_tokens, whole) : whole;
    const completionIds = Int32Array.from(ids.slice(prompt, prompt + completion));
    const positions = Array.from({ length: completion }, (_, n) => prompt - 1 + n);
    const full = positions.map((t) => softened(input.teacher_logits[b]![t]!, value.objective.teacher_temperature));
    const [from, to] = [row, row + completion];
    row = to;
    return {
      promptIds: Int32Array.from(ids.slice(0, prompt)),
      completionIds,
      score: scoreOf(value, input, full, completionIds, from, to),
      advantage: input.advantages[b]!,
      samplerLogprobs: Float32Array.from(positions, (t) => input.sampler_logprobs[b]![t]!),
    };
  });
}

/** What the teacher says about rows [from, to). */
function scoreOf(
  { objective, signal }: ConformanceCase,
  input: ConformanceInput,
  full: readonly number[][],
  completionIds: Int32Array,
  from: number,
  to: number,
): Score {
  const { signal: kind, k, teacher_temperature: temperature } = objective;
  const part = <T>(list: readonly T[] | undefined) => list?.slice(from, to);
  const floats = (list: readonly Number[] | undefined) => (list ? Float32Array.from(list, logarithm) : undefined);
  const given = kind === "hidden" ? {} : { logprobs: Float32Array.from(full, (logprobs, n) => logprobs[completionIds[n]!]!) };
  const [ids, counts] = [part(signal?.ids), part(signal?.counts)];
  return {
    signal: { kind, k, temperature, ...(kind === "hidden" ? { hiddenDtype: "float32" as const } : {}) },
    ...given,
    full: kind === "full" ? Float32Array.from(full.flat()) : undefined,
    ids: ids && Int32Array.from(ids.flat()),
    counts: counts && Uint16Array.from(counts.flat()),
    topLogprobs: floats(part(signal?.logprobs)?.flat()),
    tail: floats(part(signal?.tail)),
    entropy: floats(part(signal?.entropy)),
    hidden: floats(part(signal?.hidden)?.flat()),
    headDigest: kind === "hidden" ? headDigest(headOf(input)) : undefined,
  };
}

/** JSON has no infinity: null is the logarithm of 0. */
const logarithm = (x: Number): number => x ?? Number.NEGATIVE_INFINITY;

/** The teacher's log-probabilities of one position. */
const softened = (logits: readonly Number[], temperature: number): number[] =>
  logSoftmaxRows(
    logits.map((x) => logarithm(x) / temperature),
    logits.length,
  );
