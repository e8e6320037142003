import type { Runtime } from "../../services/shared/ml/runtime/session.js";
import type { Work } from "./graphs.js";

/**
 * Operators that the CPU computes beside CUDA, exactly these: arithmetic of shapes, whose values the host needs. A product, a
 * reduction of numbers or an activation among them is a kernel that CUDA's provider lacks.
 */
export const onCpu: Readonly<Record<Work, readonly string[]>> = {
  score: ["Concat", "Gather", "Mul", "Squeeze"],
  "half score": ["Squeeze", "Sub"],
  decode: ["Add", "Concat", "Mul", "Squeeze"],
  burst: ["Squeeze"],
  train: ["Concat", "Div", "Gather", "Mul", "ReduceSum", "Squeeze"],
};

/** Most nodes of one graph, bodies included, that copy between the host and the device. */
export const copyNodes: Readonly<Record<Work, number>> = { score: 0, "half score": 0, decode: 4, burst: 0, train: 3 };

/** What is measured. */
export type Measured =
  | "train step, one micro-batch"
  | "train step, three micro-batches"
  | "train step of an adapter"
  | "train step in bfloat16"
  | "train step in float16"
  | "score"
  | "score, 24 layers"
  | "score, 24 layers, in float16"
  | "score, 24 layers, in bfloat16 and blocks"
  | "call of the sampler, 4 tokens"
  | "decoded token"
  | "decoded token, in runs of 4"
  | "decoded token, 24 layers"
  | "decoded token, 24 layers, in bursts"
  | "decoded token, 24 layers, recorded";

/**
 * Most calls of the driver and bytes, by {@link Measured}: of a llama of two layers with 1104 weights in 20 tensors, where it isn't
 * one of 24. In the array in which small tensors lie each takes a multiple of 64 elements: that is a third or more of what the stock
 * runtime's steps send here, and next to nothing of what they send of a real model.
 */
export interface Bound {
  readonly calls: number;
  readonly upBytes: number;
  readonly downBytes: number;
  readonly waits: number;
}

/** Today's numbers, those of decoding within a call or two, which vary: lower one where it falls. */
export const bounds: Readonly<Record<Runtime, Readonly<Partial<Record<Measured, Bound>>>>> = {
  stock: {
    "train step, one micro-batch": { calls: 382, upBytes: 40132, downBytes: 25356, waits: 10 },
    "train step, three micro-batches": { calls: 1132, upBytes: 62164, downBytes: 34196, waits: 14 },
    "train step of an adapter": { calls: 454, upBytes: 43244, downBytes: 23560, waits: 6 },
    "train step in bfloat16": { calls: 486, upBytes: 40132, downBytes: 25356, waits: 10 },
    "train step in float16": { calls: 487, upBytes: 40136, downBytes: 25356, waits: 10 },
    score: { calls: 85, upBytes: 440, downBytes: 480, waits: 2 },
    "score, 24 layers": { calls: 591, upBytes: 440, downBytes: 480, waits: 2 },
    "score, 24 layers, in float16": { calls: 418, upBytes: 260, downBytes: 480, waits: 2 },
    "score, 24 layers, in bfloat16 and blocks": { calls: 510, upBytes: 332, downBytes: 483, waits: 5 },
    "call of the sampler, 4 tokens": { calls: 680, upBytes: 13224, downBytes: 1196, waits: 8 },
    "decoded token": { calls: 119, upBytes: 900, downBytes: 59, waits: 1 },
    "decoded token, in runs of 4": { calls: 145, upBytes: 3512, downBytes: 251, waits: 2 },
    "decoded token, 24 layers": { calls: 959, upBytes: 8564, downBytes: 59, waits: 1 },
  },
  native: {
    "train step, one micro-batch": { calls: 324, upBytes: 1132, downBytes: 208, waits: 14 },
    "train step, three micro-batches": { calls: 940, upBytes: 1084, downBytes: 216, waits: 22 },
    "train step of an adapter": { calls: 372, upBytes: 1132, downBytes: 200, waits: 10 },
    "train step in bfloat16": { calls: 428, upBytes: 1132, downBytes: 208, waits: 14 },
    "train step in float16": { calls: 429, upBytes: 1136, downBytes: 208, waits: 14 },
    score: { calls: 85, upBytes: 440, downBytes: 480, waits: 2 },
    "score, 24 layers": { calls: 591, upBytes: 440, downBytes: 480, waits: 2 },
    "score, 24 layers, in float16": { calls: 418, upBytes: 260, downBytes: 480, waits: 2 },
    "score, 24 layers, in bfloat16 and blocks": { calls: 510, upBytes: 332, downBytes: 483, waits: 5 },
    "call of the sampler, 4 tokens": { calls: 693, upBytes: 3616, downBytes: 236, waits: 14 },
    "decoded token": { calls: 119, upBytes: 900, downBytes: 59, waits: 1 },
    "decoded token, in runs of 4": { calls: 151, upBytes: 1058, downBytes: 59, waits: 3 },
    "decoded token, 24 layers": { calls: 959, upBytes: 8564, downBytes: 59, waits: 1 },
    "decoded token, 24 layers, in bursts": { calls: 270, upBytes: 46, downBytes: 48, waits: 2.5 },
    "decoded token, 24 layers, recorded": { calls: 2, upBytes: 46, downBytes: 48, waits: 0.5 },
  },
};
