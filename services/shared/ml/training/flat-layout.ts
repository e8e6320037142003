import { sizeOf } from "../graph/tensor.js";
import type { ParamSpec } from "../models/param-spec.js";
import { decays } from "../optim/adamw.js";

/** Elements from one tensor's first to the next one's are a multiple of this: kernels read 256 bytes at once. */
const line = 64;

/** Most elements of a range: kernels count them in 32 bits. */
const mostElements = 2 ** 28;

/** Elements that are updated alike, one behind the other. */
export interface Range {
  readonly start: number;
  readonly length: number;
  readonly decayed: boolean;
}

/** Where tensors lie in one array, those that decay before the others. */
export interface FlatLayout {
  readonly starts: ReadonlyMap<string, number>;
  readonly length: number;
  /** All elements, those between tensors too. */
  readonly ranges: readonly Range[];
}

/** Lays tensors out in one array. @param most elements of a range */
export function flatLayout(specs: readonly ParamSpec[], most = mostElements): FlatLayout {
  const starts = new Map<string, number>();
  const ranges: Range[] = [];
  let length = 0;
  for (const decayed of [true, false]) {
    const first = length;
    for (const { name, dims } of specs.filter(({ kind }) => decays(kind) === decayed)) {
      starts.set(name, length);
      length += Math.ceil(sizeOf(dims) / line) * line;
    }
    for (let start = first; start < length; start += most) ranges.push({ start, length: Math.min(most, length - start), decayed });
  }
  return { starts, length, ranges };
}
