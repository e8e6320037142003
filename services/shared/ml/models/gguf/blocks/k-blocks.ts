import { halfValues } from "../../safetensors/widen.js";
import { half } from "./bits.js";
import type { BlockFormat } from "./block-format.js";

// The formats of 256 elements ("K-quants"): a scale d (float16), some with a scale of minimums, and one small scale per 16
// or 32 elements.

const elements = 256;

/** Of the eight scales of 6 bits in 12 bytes, the one of a group of 32. */
const scaleOf = (bytes: Uint8Array, at: number, group: number): number =>
  group < 4 ? bytes[at + group]! & 63 : (bytes[at + group + 4]! & 15) | ((bytes[at + group - 4]! >> 6) << 4);

/** Of the eight minimums in the same bytes, the one of a group. */
const minimumOf = (bytes: Uint8Array, at: number, group: number): number =>
  group < 4 ? bytes[at + group + 4]! & 63 : (bytes[at + group + 4]! >> 4) | ((bytes[at + group]! >> 6) << 4);

/** d·scale·q − dmin·minimum, q of 4 bits: 32 bytes are two groups of 32, by their low halves and by their high ones. */
export const q4k: BlockFormat = {
  elements,
  bytes: 144,
  decode(bytes, out) {
    const halves = halfValues();
    for (let at = 0, o = 0; at < bytes.length; at += 144, o += elements) {
      const [d, dmin] = [half(bytes, at, halves), half(bytes, at + 2, halves)];
      for (let group = 0; group < 8; group++) {
        const [scale, minimum] = [d * scaleOf(bytes, at + 4, group), dmin * minimumOf(bytes, at + 4, group)];
        const [from, shift, to] = [at + 16 + (group >> 1) * 32, (group & 1) * 4, o + group * 32];
        for (let j = 0; j < 32; j++) out[to + j] = scale * ((bytes[from + j]! >> shift) & 15) - minimum;
      }
    }
  },
};

/** As {@link q4k}, with the fifth bits of group g in bit g of 32 bytes. */
export const q5k: BlockFormat = {
  elements,
  bytes: 176,
  decode(bytes, out) {
    const halves = halfValues();
    for (let at = 0, o = 0; at < bytes.length; at += 176, o += elements) {
      const [d, dmin] = [half(bytes, at, halves), half(bytes, at + 2, halves)];
      for (let group = 0; group < 8; group++) {
        const [scale, minimum] = [d * scaleOf(bytes, at + 4, group), dmin * minimumOf(bytes, at + 4, group)];
        const [from, shift, to] = [at + 48 + (group >> 1) * 32, (group & 1) * 4, o + group * 32];
        for (let j = 0; j < 32; j++) {
          const q = ((bytes[from + j]! >> shift) & 15) | (((bytes[at + 16 + j]! >> group) & 1) << 4);
          out[to + j] = scale * q - minimum;
        }
      }
    }
  },
};

/** d·scale·(q − 32), q of 4 bits and two apart, a scale of 8 bits with a sign per 16 elements. */
export const q6k: BlockFormat = {
  elements,
  bytes: 210,
  decode(bytes, out) {
    const halves = halfValues();
    for (let at = 0, o = 0; at < bytes.length; at += 210, o += elements) {
      const d = half(bytes, at + 208, halves);
      for (let group = 0; group < 8; group++) {
        // Each half of the block is four groups of 32: two by the low halves of 64 bytes, two by the high ones.
        const [part, of4] = [group >> 2, group & 3];
        const [low, shift] = [at + part * 64 + (of4 & 1) * 32, (of4 >> 1) * 4];
        const [high, highShift, to] = [at + 128 + part * 32, of4 * 2, o + group * 32];
        for (let j = 0; j < 32; j++) {
          const scale = (bytes[at + 192 + group * 2 + (j >> 4)]! << 24) >> 24;
          const q = ((bytes[low + j]! >> shift) & 15) | (((bytes[high + j]! >> highShift) & 3) << 4);
          out[to + j] = d * scale * (q - 32);
        }
      }
    }
  },
};
