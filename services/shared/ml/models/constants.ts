import { arrayOver, bytesOf, type Constant, type FileTensor, isHalf, isInFile, piecesOf } from "../graph/file-tensor.js";
import { borrow, giveBack, scratchBytes } from "../graph/scratch.js";
import { dtypeInfo, float32, type Tensor } from "../graph/tensor.js";
import type { Weights } from "./param-spec.js";
import { type FloatDtype, storedNames, widenInto } from "./safetensors/widen.js";

/** A weight: float32 in memory, or lying in a file as it was saved. */
export type Weight = Tensor<"float32"> | FileTensor<FloatDtype>;

/** Weights by name, some or all of which lie in files: what graphs have as constants. {@link Weights} are such, too. */
export type Constants = ReadonlyMap<string, Weight>;

/** Most elements of a piece of {@link float32Pieces}. */
export const pieceElements = scratchBytes / dtypeInfo.float32.bytes;

/**
 * A constant's elements as float32, exactly, piece by piece. A piece is valid until the next one is asked for, or none any more.
 *
 * @param elements of a piece, at most {@link pieceElements}
 */
export function* float32Pieces(constant: Constant, elements = pieceElements): Generator<Float32Array> {
  const { dtype } = constant;
  if (!isHalf(dtype)) {
    for (const piece of piecesOf(constant, elements * dtypeInfo.float32.bytes)) yield arrayOver("float32", piece);
    return;
  }
  const widened = borrow();
  try {
    for (const piece of piecesOf(constant, elements * dtypeInfo[dtype].bytes)) {
      widenInto(new Uint32Array(widened.buffer), 0, piece, storedNames[dtype]);
      yield new Float32Array(widened.buffer, 0, piece.length >> 1);
    }
  } finally {
    giveBack(widened);
  }
}

/** A weight with its numbers in memory, as float32. */
export function inMemory(weight: Weight): Tensor<"float32"> {
  if (!isInFile(weight)) return weight;
  if (weight.dtype === "float32") return float32(arrayOver("float32", bytesOf(weight)), weight.dims);
  const data = new Float32Array(weight.dims.reduce((product, dim) => product * dim, 1));
  let at = 0;
  for (const piece of float32Pieces(weight)) {
    data.set(piece, at);
    at += piece.length;
  }
  return float32(data, weight.dims);
}

/** Weights with all their numbers in memory, as float32; those that are there already are not copied. */
export const allInMemory = (weights: Constants): Weights => new Map([...weights].map(([name, weight]) => [name, inMemory(weight)]));

/** Weights as their checkpoint has them, where those that are used were rounded. */
export const unrounded = (weights: Constants): Constants =>
  new Map(
    [...weights].map(([name, weight]) => {
      if (!isInFile(weight)) return [name, weight];
      const { quantised, origin, ...plain } = weight;
      return [name, (origin as Weight | undefined) ?? plain];
    }),
  );
