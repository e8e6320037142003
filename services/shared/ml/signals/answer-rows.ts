import { RetortError } from "../../base/errors.js";
import { outputData } from "../runtime/outputs.js";
import type { AnswerRows } from "./signal.js";

type Elements = Float32Array | Int32Array | Uint16Array;

/**
 * A sequence's rows of one output of the teacher's graph, copied: `width` elements each.
 *
 * @throws Internal as {@link outputData}, or if the output is shorter
 */
export function cutRows<T extends Elements>(rows: AnswerRows, name: string, type: new (length: number) => T, width = 1): T {
  const data = outputData(rows.outputs, name, type);
  const end = rows.to * width;
  if (data.length < end) throw new RetortError("Internal", `the output ${name} ends at element ${data.length}, before ${end}`);
  return data.slice(rows.from * width, end) as T;
}

/** The given token's log-probability at each of a sequence's rows, [N]. */
export const logprobsOf = (rows: AnswerRows): Float32Array => cutRows(rows, "logprobs", Float32Array);
