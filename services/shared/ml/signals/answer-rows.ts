import { outputData } from "../runtime/outputs.js";
import type { AnswerRows } from "./signal.js";

type Elements = Float32Array | Int32Array | Uint16Array;

/** A sequence's rows of one output of the teacher's graph, copied: `width` elements each. @throws Internal as {@link outputData} */
export function cutRows<T extends Elements>(rows: AnswerRows, name: string, type: new (length: number) => T, width = 1): T {
  return outputData(rows.outputs, name, type).slice(rows.from * width, rows.to * width) as T;
}

/** The given token's log-probability at each of a sequence's rows, [N]. */
export const logprobsOf = (rows: AnswerRows): Float32Array => cutRows(rows, "logprobs", Float32Array);
