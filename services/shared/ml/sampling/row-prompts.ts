// Dimensions: B rows, H heads, P positions of the longest prompt, E head size.
import { found } from "../../base/found.js";
import { float32, type Tensor } from "../graph/tensor.js";
import { maskedScore } from "../models/forward/attention.js";
import { promptMaskName } from "./decode-inputs.js";

/** Where what an encoder has read of a row's prompt lies. */
export interface EncodedRow {
  /** Of several prompts, by name: [U, H, P, E], and the mask. */
  readonly prompts: Readonly<Record<string, Tensor>>;
  readonly place: number;
  /** Tokens of the prompt. */
  readonly length: number;
}

/** What an encoder has read for rows whose prompts it may have read at different times, padded to the longest: what `decodeGraph` is fed. */
export function joinPrompts(rows: readonly EncodedRow[]): Record<string, Tensor> {
  const longest = Math.max(...rows.map(({ length }) => length));
  const mask = new Float32Array(rows.length * longest).fill(maskedScore);
  for (const [b, { length }] of rows.entries()) mask.fill(0, b * longest, b * longest + length);
  const names = Object.keys(found(rows[0], "a row").prompts).filter((name) => name !== promptMaskName);
  const joined = names.map((name) => [name, joinPrompt(rows, name, longest)] as const);
  return { ...Object.fromEntries(joined), [promptMaskName]: float32(mask, [rows.length, 1, 1, longest]) };
}

function joinPrompt(rows: readonly EncodedRow[], name: string, longest: number): Tensor {
  const [, heads, , size] = found(rows[0]?.prompts[name], name).dims as [number, number, number, number];
  const out = new Float32Array(rows.length * heads * longest * size);
  for (const [b, { prompts, place, length }] of rows.entries()) {
    const { data, dims } = found(prompts[name], name);
    const stored = dims[2]!;
    for (let h = 0; h < heads; h++) {
      const from = (place * heads + h) * stored * size;
      out.set((data as Float32Array).subarray(from, from + length * size), (b * heads + h) * longest * size);
    }
  }
  return float32(out, [rows.length, heads, longest, size]);
}
