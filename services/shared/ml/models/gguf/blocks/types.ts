import type { BlockFormat } from "./block-format.js";
import { q4k, q5k, q6k } from "./k-blocks.js";
import { bf16, f16, f32 } from "./plain.js";
import { q4_0, q4_1, q5_0, q5_1, q8_0 } from "./small-blocks.js";

/** An element type of GGUF tensors; one without a format is not read. */
export interface TensorType {
  /** Its name in ggml. */
  readonly name: string;
  readonly block: BlockFormat | undefined;
}

/** The types that are read, by their number in the file. */
const formats: Readonly<Record<number, readonly [name: string, format: BlockFormat]>> = {
  0: ["F32", f32],
  1: ["F16", f16],
  2: ["Q4_0", q4_0],
  3: ["Q4_1", q4_1],
  6: ["Q5_0", q5_0],
  7: ["Q5_1", q5_1],
  8: ["Q8_0", q8_0],
  12: ["Q4_K", q4k],
  13: ["Q5_K", q5k],
  14: ["Q6_K", q6k],
  30: ["BF16", bf16],
};

/** Names of types that are not read. */
const others: Readonly<Record<number, string>> = {
  ...{ 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL" },
  ...{ 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M" },
  ...{ 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0" },
};

/** Names of the types that are read. */
export const readTypes: readonly string[] = Object.values(formats).map(([name]) => name);

/** The type of a number in the file; one that is not known has it as its name. */
export function typeOfNumber(number: number): TensorType {
  const [name, block] = formats[number] ?? [others[number] ?? `type ${number}`, undefined];
  return { name, block };
}

/** The format of a type that is read, by name; undefined for another. */
export const formatNamed = (name: string): BlockFormat | undefined => Object.values(formats).find(([own]) => own === name)?.[1];
