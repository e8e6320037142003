import type { Objective } from "../../services/shared/ml/losses/objective.js";
import type { Score } from "../../services/shared/ml/scoring/score.js";
import type { TrainSequence } from "../../services/shared/ml/training/batch.js";

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
    readonly kl_coef: number;
    readonly ratio_clip: number;
  };
  readonly tolerance: { readonly rtol: number; readonly atol: number };
  readonly value: number;
  readonly gradient: number[][];
  readonly signal?: { readonly ids?: number[][]; readonly logprobs?: Number[][]; readonly tail?: Number[] };
}

/** The batch as the trainer takes it, with the teacher's scores for the case's signal. */
export function trainSequences({ objective, signal }: ConformanceCase, input: ConformanceInput): TrainSequence[] {
  let row = 0;
  return input.ids.map((ids, b) => {
    const [prompt, completion] = [input.prompt_lengths[b]!, input.completion_lengths[b]!];
    const completionIds = Int32Array.from(ids.slice(prompt, prompt + completion));
    const positions = Array.from({ length: completion }, (_, n) => prompt - 1 + n);
    const full = positions.map((t) => logSoftmax(input.teacher_logits[b]![t]!, objective.teacher_temperature));
    const [from, to] = [row, row + completion];
    row = to;
    const base = {
      signal: { kind: objective.signal, k: objective.k, temperature: objective.teacher_temperature },
      logprobs: Float32Array.from(full, (logprobs, n) => logprobs[completionIds[n]!]!),
    };
    const part = <T>(list: readonly T[] | undefined) => list!.slice(from, to);
    const score: Score =
      objective.signal === "full"
        ? { ...base, full: Float32Array.from(full.flat()) }
        : {
            ...base,
            ids: Int32Array.from(part(signal?.ids).flat()),
            topLogprobs: Float32Array.from(part(signal?.logprobs).flat(), logarithm),
            tail: Float32Array.from(part(signal?.tail), logarithm),
          };
    return {
      promptIds: Int32Array.from(ids.slice(0, prompt)),
      completionIds,
      score,
      advantage: input.advantages[b]!,
      samplerLogprobs: Float32Array.from(positions, (t) => input.sampler_logprobs[b]![t]!),
    };
  });
}

/** JSON has no infinity: null is the logarithm of 0. */
const logarithm = (x: Number): number => x ?? Number.NEGATIVE_INFINITY;

function logSoftmax(logits: readonly Number[], temperature: number): number[] {
  const scaled = logits.map((x) => logarithm(x) / temperature);
  const top = Math.max(...scaled);
  const total = top + Math.log(scaled.reduce((sum, x) => sum + Math.exp(x - top), 0));
  return scaled.map((x) => x - total);
}
