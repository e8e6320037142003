import { RetortError } from "../../base/errors.js";
import type { AnswerRows } from "./signal.js";

type Elements = Float32Array | Int32Array | Uint16Array;

/**
 * One output of the teacher's graph, of all sequences.
 *
 * @throws Internal if the graph has no such output, or one of another element type
 */
export function outputOf<T extends Elements>({ outputs }: AnswerRows, name: string, type: new (length: number) => T): T {
  const data = outputs[name]?.data;
  if (data instanceof type) return data;
  throw new RetortError("Internal", `the score graph has no output ${name} of ${type.name}, but ${Object.keys(outputs).join(", ")}`);
}

/** A sequence's rows of one output of the teacher's graph, copied: `width` elements each. @throws Internal as {@link outputOf} */
export function cutRows<T extends Elements>(rows: AnswerRows, name: string, type: new (length: number) => T, width = 1): T {
  return outputOf(rows, name, type).slice(rows.from * width, rows.to * width) as T;
}

/** The given token's log-probability at each of a sequence's rows, [N]. */
export const logprobsOf = (rows: AnswerRows): Float32Array => cutRows(rows, "logprobs", Float32Array);
