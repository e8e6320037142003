import { float32, int64, type Tensor } from "../graph/tensor.js";
import { negatedUniform } from "./draw.js";
import type { SamplingParams } from "./params.js";

/** What draws a row's tokens: a stream of 32-bit numbers. */
interface DrawnRow {
  readonly next: () => number;
}

/** The next `steps` pairs of uniforms of every row, step by step, negated as the graph wants them. */
export function uniformsFor(rows: readonly DrawnRow[], steps: number): { block: Float32Array; token: Float32Array } {
  const block = new Float32Array(steps * rows.length);
  const token = new Float32Array(steps * rows.length);
  rows.forEach(({ next }, b) => {
    for (let n = 0; n < steps; n++) {
      block[n * rows.length + b] = negatedUniform(next());
      token[n * rows.length + b] = negatedUniform(next());
    }
  });
  return { block, token };
}

/** What the next `steps` tokens of every row are drawn with. */
export function drawFeeds(
  rows: readonly DrawnRow[],
  steps: number,
  { temperature }: Pick<SamplingParams, "temperature">,
): Record<string, Tensor> {
  const { block, token } = uniformsFor(rows, steps);
  const dims = [steps, rows.length, 1];
  return {
    blockUniforms: float32(block, dims),
    tokenUniforms: float32(token, dims),
    steps: int64([steps], []),
    temperature: float32([temperature || 1], []),
  };
}
