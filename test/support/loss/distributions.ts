import { normals } from "../../../services/shared/base/random.js";
import type { LossCase } from "./loss.js";

/** Logits of `rows` rows, normal with the given deviation. */
export const drawnLogits = (seed: bigint, rows: number, vocab: number, deviation = 1.5): number[] =>
  Array.from(normals(seed, rows * vocab, deviation));

/** Log-probabilities of rows of logits, in float64. */
export function logSoftmaxRows(logits: readonly number[], vocab: number): number[] {
  const totals = Array.from({ length: logits.length / vocab }, (_, row) => {
    const own = logits.slice(row * vocab, (row + 1) * vocab);
    const largest = Math.max(...own);
    return largest + Math.log(own.reduce((sum, x) => sum + Math.exp(x - largest), 0));
  });
  return logits.map((x, i) => x - totals[Math.floor(i / vocab)]!);
}

/** A distribution over the given classes of each row and the mass of the rest. */
export function chosenClasses(logp: readonly number[], vocab: number, ids: readonly (readonly number[])[]): LossCase["signal"] {
  const tail = ids.map((own, row) => {
    const rest = logp.slice(row * vocab, (row + 1) * vocab).filter((_, v) => !own.includes(v));
    return Math.log(rest.reduce((sum, x) => sum + Math.exp(x), 0));
  });
  return { ids: ids.flat(), top: ids.flatMap((own, row) => own.map((v) => logp[row * vocab + v]!)), tail };
}

/** The k largest classes of each row, in falling order. */
export function largestClasses(values: readonly number[], vocab: number, k: number): number[][] {
  return Array.from({ length: values.length / vocab }, (_, row) => {
    const own = values.slice(row * vocab, (row + 1) * vocab);
    return own
      .map((_, v) => v)
      .sort((a, b) => own[b]! - own[a]!)
      .slice(0, k);
  });
}
