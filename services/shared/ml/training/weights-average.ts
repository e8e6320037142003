import { RetortError } from "../../base/errors.js";
import type { Weights } from "../models/param-spec.js";
import { weightOf } from "../models/param-spec.js";
import { copyOf } from "./optimizer-state.js";

/**
 * An exponential average of weights along their training: a ← a + (1 − decay) (w − a) after every step, for each number; at the
 * beginning a = w. As PyTorch's `get_ema_multi_avg_fn`. Each number is computed in float64 and kept in float32.
 */
export class WeightsAverage {
  readonly #decay: number;
  readonly #average: Weights;

  /**
   * @param decay in (0, 1): what a step leaves of the average
   * @param begin where the average begins; copied
   */
  constructor(decay: number, begin: Weights) {
    if (!(decay > 0 && decay < 1))
      throw new RetortError("InvalidArgument", `the decay of an average is ${decay}; it must lie between 0 and 1`);
    this.#decay = decay;
    this.#average = copyOf(begin);
  }

  /** The average's own arrays, which the next update changes. */
  get weights(): Weights {
    return this.#average;
  }

  /** Takes the weights of another step in. @param weights float32, of the same names and sizes */
  update(weights: Weights): void {
    const share = 1 - this.#decay;
    for (const [name, { data }] of this.#average) {
      const { data: next } = weightOf(weights, name);
      if (next.length !== data.length)
        throw new RetortError("Internal", `weight ${name} has ${next.length} elements, and its average ${data.length}`);
      for (let i = 0; i < data.length; i++) {
        const value = data[i] as number;
        data[i] = value + share * ((next[i] as number) - value);
      }
    }
  }
}
