import { createHash } from "node:crypto";
import { generator } from "../../base/random.js";
import { float32, type Tensor } from "../graph/tensor.js";
import { negatedUniform } from "../sampling/draw.js";
import type { ScoreInput } from "./signal.js";

/** The sequence that is scored; its draws are a function of it, so that scoring it again gives the same answer. */
type Text = Pick<ScoreInput, "promptIds" | "completionIds">;

/** Seed of a sequence's draws: the first 64 bits of SHA-256 over its tokens. */
function seedOf({ promptIds, completionIds }: Text): bigint {
  const hash = createHash("sha256").update(`${promptIds.length}:`);
  for (const ids of [promptIds, completionIds]) hash.update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
  return hash.digest().readBigUInt64LE();
}

/** The uniforms of `draws` draws at every completion token, float32 [draws, R, 1] each, negated as the graph wants them. */
export function drawUniforms(texts: readonly Text[], draws: number): Record<"drawBlocks" | "drawTokens", Tensor> {
  const rows = texts.reduce((sum, { completionIds }) => sum + completionIds.length, 0);
  const [blocks, tokens] = [new Float32Array(draws * rows), new Float32Array(draws * rows)];
  let row = 0;
  for (const text of texts) {
    const next = generator(seedOf(text));
    for (let n = 0; n < text.completionIds.length; n++, row++) {
      for (let draw = 0; draw < draws; draw++) {
        blocks[draw * rows + row] = negatedUniform(next());
        tokens[draw * rows + row] = negatedUniform(next());
      }
    }
  }
  return { drawBlocks: float32(blocks, [draws, rows, 1]), drawTokens: float32(tokens, [draws, rows, 1]) };
}

/**
 * Counts what was drawn of each token, `draws` [N, K]: the different classes in rising order, and how often each came; tokens
 * with fewer than the widest are filled up with class 0, 0 times.
 */
export function countDraws(draws: Int32Array, k: number): { ids: Int32Array; counts: Uint16Array } {
  const tallies = Array.from({ length: draws.length / k }, (_, n) => {
    const tally = new Map<number, number>();
    for (const id of draws.subarray(n * k, (n + 1) * k)) tally.set(id, (tally.get(id) ?? 0) + 1);
    return [...tally].sort(([a], [b]) => a - b);
  });
  const width = Math.max(...tallies.map(({ length }) => length));
  const [ids, counts] = [new Int32Array(tallies.length * width), new Uint16Array(tallies.length * width)];
  tallies.forEach((tally, n) => {
    tally.forEach(([id, count], i) => {
      ids[n * width + i] = id;
      counts[n * width + i] = count;
    });
  });
  return { ids, counts };
}
