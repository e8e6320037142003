import { halfValues } from "../../safetensors/widen.js";
import { half, word } from "./bits.js";
import type { BlockFormat } from "./block-format.js";

// The formats of 32 elements: a scale d (float16), some with a minimum m (float16) or the fifth bits of the elements, and
// then the elements q, in nibbles: that of byte j is element j by its low half, and element j + 16 by its high half.

const elements = 32;

/** d·(q − 8), q of 4 bits. */
export const q4_0: BlockFormat = {
  elements,
  bytes: 18,
  decode(bytes, out) {
    const halves = halfValues();
    for (let at = 0, o = 0; at < bytes.length; at += 18, o += elements) {
      const d = half(bytes, at, halves);
      for (let j = 0; j < 16; j++) {
        const q = bytes[at + 2 + j]!;
        out[o + j] = d * ((q & 15) - 8);
        out[o + j + 16] = d * ((q >> 4) - 8);
      }
    }
  },
};

/** d·q + m, q of 4 bits. */
export const q4_1: BlockFormat = {
  elements,
  bytes: 20,
  decode(bytes, out) {
    const halves = halfValues();
    for (let at = 0, o = 0; at < bytes.length; at += 20, o += elements) {
      const [d, m] = [half(bytes, at, halves), half(bytes, at + 2, halves)];
      for (let j = 0; j < 16; j++) {
        const q = bytes[at + 4 + j]!;
        out[o + j] = d * (q & 15) + m;
        out[o + j + 16] = d * (q >> 4) + m;
      }
    }
  },
};

/** d·(q − 16), q of 4 bits and one apart. */
export const q5_0: BlockFormat = {
  elements,
  bytes: 22,
  decode(bytes, out) {
    const halves = halfValues();
    for (let at = 0, o = 0; at < bytes.length; at += 22, o += elements) {
      const d = half(bytes, at, halves);
      const fifth = word(bytes, at + 2);
      for (let j = 0; j < 16; j++) {
        const q = bytes[at + 6 + j]!;
        out[o + j] = d * (((q & 15) | (((fifth >>> j) & 1) << 4)) - 16);
        out[o + j + 16] = d * (((q >> 4) | (((fifth >>> (j + 16)) & 1) << 4)) - 16);
      }
    }
  },
};

/** d·q + m, q of 4 bits and one apart. */
export const q5_1: BlockFormat = {
  elements,
  bytes: 24,
  decode(bytes, out) {
    const halves = halfValues();
    for (let at = 0, o = 0; at < bytes.length; at += 24, o += elements) {
      const [d, m] = [half(bytes, at, halves), half(bytes, at + 2, halves)];
      const fifth = word(bytes, at + 4);
      for (let j = 0; j < 16; j++) {
        const q = bytes[at + 8 + j]!;
        out[o + j] = d * ((q & 15) | (((fifth >>> j) & 1) << 4)) + m;
        out[o + j + 16] = d * ((q >> 4) | (((fifth >>> (j + 16)) & 1) << 4)) + m;
      }
    }
  },
};

/** d·q, q of 8 bits with a sign, one behind the other. */
export const q8_0: BlockFormat = {
  elements,
  bytes: 34,
  decode(bytes, out) {
    const halves = halfValues();
    for (let at = 0, o = 0; at < bytes.length; at += 34, o += elements) {
      const d = half(bytes, at, halves);
      for (let j = 0; j < elements; j++) out[o + j] = d * ((bytes[at + 2 + j]! << 24) >> 24);
    }
  },
};
