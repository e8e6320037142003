import { found } from "../../base/found.js";
import { float32, type Tensor } from "../graph/tensor.js";
import type { Objective } from "../losses/objective.js";
import { rowReports } from "../losses/row-losses.js";
import { floatsOf, type Outputs, scalarOf } from "../runtime/outputs.js";
import type { MicroBatch, TrainSequence } from "./batch.js";

/** What an optimiser step reports. Divergences and entropies in nats; what is compared by rank has no unit. */
export interface StepStats {
  readonly loss: number;
  /** Mean distance, weighted as the objective normalises it. */
  readonly divergence: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly completionTokens: number;
  /** Mean entropy of the student per completion token. */
  readonly entropy: number;
  /** KL between sampler and learner, estimator k3 = r − 1 − log r with r = q_learner/q_sampler, per sampled token. */
  readonly mismatchKl: number;
  /** (Σw)² / Σw² over the sequences' importance weights, as a share of the sampled sequences; 1 where none was sampled. */
  readonly effectiveSampleShare: number;
  /** Mean share of the teacher's most probable classes that are among the student's, per completion token; undefined where the signal names none. */
  readonly topOverlap: number | undefined;
  /** What the loss was multiplied with, where products are computed in float16. */
  readonly lossScale: number | undefined;
  /** Mean distance of each sequence, in the order of the batch. */
  readonly sequenceDivergence: Float32Array;
  /** Of each sequence that was watched, token by token. */
  readonly watched: readonly TokenStats[];
}

/** What the forward pass of a step, before its update, says of a sequence: an entry per completion token. */
export interface TokenStats {
  /** The objective's divergence, unweighted, in nats. */
  readonly divergence: Float32Array;
  /** The student's entropy, in nats. */
  readonly entropy: Float32Array;
  /** Log-probability of the token, at temperature 1. */
  readonly logprobs: Float32Array;
}

/** Arrays for what a micro-batch's graph reports: its loss, and some numbers of each row. */
export function rowOutputs({ feeds }: MicroBatch, objective: Objective): Readonly<Record<string, Tensor<"float32">>> {
  const rows = found(feeds.rows, "the rows of a micro-batch").data.length;
  const perRow = () => float32(new Float32Array(rows), [rows]);
  return { loss: float32([0], []), ...Object.fromEntries(rowReports(objective).map((name) => [name, perRow()])) };
}

/** Arrays for some reports of each row alone. @param names with how many numbers each has of a row */
export function valueOutputs(
  { feeds }: MicroBatch,
  names: readonly (readonly [name: string, width: number])[],
): Readonly<Record<string, Tensor<"float32">>> {
  const rows = found(feeds.rows, "the rows of a micro-batch").data.length;
  const arrayOf = (width: number) => float32(new Float32Array(rows * width), width === 1 ? [rows] : [rows, width]);
  return Object.fromEntries(names.map(([name, width]) => [name, arrayOf(width)]));
}

/** Gathers the per-row outputs of the micro-batches of one step. */
export class StatsCollector {
  readonly #batch: readonly TrainSequence[];
  readonly #weights: readonly number[];
  readonly #sequenceDivergence: Float32Array;
  readonly #logRatios: number[] = [];
  readonly #watched: readonly number[];
  readonly #tokenStats = new Map<number, TokenStats>();
  #loss = 0;
  #divergence = 0;
  #entropy = 0;
  #tokens = 0;
  #mismatch = 0;
  #sampledTokens = 0;
  #overlap: number | undefined;

  /** @param watched members of the batch whose tokens are reported one by one */
  constructor(batch: readonly TrainSequence[], weights: readonly number[], watched: readonly number[] = []) {
    this.#batch = batch;
    this.#watched = watched;
    this.#weights = weights;
    this.#sequenceDivergence = new Float32Array(batch.length);
  }

  add({ members }: MicroBatch, outputs: Outputs): void {
    const [distance, logprobs, entropy] = [floatsOf(outputs, "distance"), floatsOf(outputs, "logprobs"), floatsOf(outputs, "entropy")];
    // Of classes that teachers with other tokens name, the student has not all.
    const overlap = outputs.overlap && !this.#batch.some(({ known }) => known) ? floatsOf(outputs, "overlap") : undefined;
    this.#loss += scalarOf(outputs, "loss");
    let row = 0;
    for (const member of members) {
      const { completionIds, samplerLogprobs, known } = this.#batch[member]!;
      let [total, logRatio] = [0, 0];
      const [from, to] = [row, row + completionIds.length];
      if (this.#watched.includes(member)) {
        const own = (values: Float32Array) => values.slice(from, to);
        this.#tokenStats.set(member, { divergence: own(distance), entropy: own(entropy), logprobs: own(logprobs) });
      }
      for (let n = 0; n < completionIds.length; n++, row++) {
        total += distance[row]!;
        this.#entropy += entropy[row]!;
        if (overlap) this.#overlap = (this.#overlap ?? 0) + overlap[row]!;
        if (samplerLogprobs) {
          const difference = logprobs[row]! - samplerLogprobs[n]!;
          logRatio += difference;
          this.#mismatch += Math.exp(difference) - 1 - difference;
        }
      }
      if (samplerLogprobs) {
        this.#logRatios.push(logRatio);
        this.#sampledTokens += completionIds.length;
      }
      this.#tokens += completionIds.length;
      this.#divergence += total * this.#weights[member]!;
      const counted = known?.reduce((sum, one) => sum + one, 0) ?? completionIds.length;
      this.#sequenceDivergence[member] = counted ? total / counted : 0;
    }
  }

  /** The loss of what was added. */
  get loss(): number {
    return this.#loss;
  }

  finish(gradientNorm: number, learningRate: number, lossScale?: number): StepStats {
    return {
      loss: this.#loss,
      divergence: this.#divergence,
      gradientNorm,
      learningRate,
      completionTokens: this.#tokens,
      entropy: this.#entropy / this.#tokens,
      mismatchKl: this.#sampledTokens ? this.#mismatch / this.#sampledTokens : 0,
      effectiveSampleShare: effectiveShare(this.#logRatios),
      topOverlap: this.#overlap === undefined ? undefined : this.#overlap / this.#tokens,
      lossScale,
      sequenceDivergence: this.#sequenceDivergence,
      watched: this.#watched.map((member) => found(this.#tokenStats.get(member), `sequence ${member} of the step`)),
    };
  }
}

function effectiveShare(logRatios: readonly number[]): number {
  if (logRatios.length === 0) return 1;
  const largest = Math.max(...logRatios);
  const weights = logRatios.map((logRatio) => Math.exp(logRatio - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  return total ** 2 / weights.reduce((sum, weight) => sum + weight ** 2, 0) / weights.length;
}
