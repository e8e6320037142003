import { closeSync, openSync, readSync } from "node:fs";
import { RetortError } from "../../base/errors.js";
import { borrow, giveBack, scratchBytes } from "./scratch.js";
import { type ArrayOf, type DType, dtypeInfo, sizeOf, type Tensor } from "./tensor.js";

/** A tensor whose elements lie in a file, little-endian and row-major: sessions map them, nothing of them is read before. */
export interface FileTensor<D extends DType = DType> {
  readonly dtype: D;
  readonly dims: readonly number[];
  /**
   * Absolute, without symbolic links: the runtime refuses others. What is mapped belongs to the file, not to its name: one
   * that is replaced by renaming, or removed, stays as it was for those who have mapped it. One that is written in place changes
   * under the model, and one that is cut off kills the process; so nothing here writes a file of weights in place.
   */
  readonly path: string;
  /** Bytes before the first element: a multiple of the element's size. */
  readonly offset: number;
  /** The same as the second operand of a matrix product, in 8 bits. */
  readonly quantised?: QuantisedMatrix;
  /** What this was converted from, where the conversion rounded. */
  readonly origin?: Tensor | FileTensor;
}

/** A matrix in blocks of 8-bit integers with a scale each, as the runtime's MatMulNBits has it: w = scale · (q − 128). */
export interface QuantisedMatrix {
  /** The product takes the matrix as it lies, [N, K], transposed; else as [K, N]. */
  readonly transB: boolean;
  readonly outputs: number;
  readonly inputs: number;
  /** Elements of a block, along K; the last one of a row is filled up. */
  readonly blockSize: number;
  /** uint8 [N, blocks of K, block] */
  readonly values: FileTensor<"uint8">;
  /** [N · blocks of K] */
  readonly scales: FileTensor<"float32">;
}

/** A constant of a graph: held in memory, or lying in a file. */
export type Constant = Tensor | FileTensor;

/** Whether a constant lies in a file. */
export const isInFile = (constant: Constant): constant is FileTensor => "path" in constant;

/** Whether elements are float16 or bfloat16. */
export const isHalf = (dtype: DType): dtype is "float16" | "bfloat16" => dtype === "float16" || dtype === "bfloat16";

/** Bytes of a constant's elements. */
export const byteLengthOf = ({ dtype, dims }: Constant): number => sizeOf(dims) * dtypeInfo[dtype].bytes;

/**
 * A constant's bytes piece by piece, of whole elements. A piece is valid until the next one is asked for, or none any more.
 *
 * @param size bytes of a piece, at most {@link scratchBytes}
 * @throws DataLoss naming the file if it ends before
 */
export function* piecesOf(constant: Constant, size = scratchBytes): Generator<Uint8Array> {
  if (!isInFile(constant)) {
    const { buffer, byteOffset, byteLength } = constant.data;
    for (let at = 0; at < byteLength; at += size) yield new Uint8Array(buffer, byteOffset + at, Math.min(size, byteLength - at));
    return;
  }
  const length = byteLengthOf(constant);
  const piece = borrow();
  const file = openSync(constant.path, "r");
  try {
    for (let at = 0; at < length; at += size) {
      const part = piece.subarray(0, Math.min(size, length - at));
      fill(file, constant.offset + at, part, constant.path);
      yield part;
    }
  } finally {
    closeSync(file);
    giveBack(piece);
  }
}

function fill(file: number, position: number, bytes: Uint8Array, path: string): void {
  for (let done = 0; done < bytes.length; ) {
    const read = readSync(file, bytes, done, bytes.length - done, position + done);
    if (read === 0) throw cutOff(path);
    done += read;
  }
}

/** What is said of a file that ends before what is read of it. */
export const cutOff = (path: string): RetortError =>
  new RetortError("DataLoss", `${path} was cut off while it was used; copy or download it again`);

/** A constant's bytes, read into memory if they lie in a file. @throws DataLoss as {@link piecesOf} */
export function bytesOf(constant: Constant): Uint8Array {
  if (!isInFile(constant)) return new Uint8Array(constant.data.buffer, constant.data.byteOffset, constant.data.byteLength);
  const bytes = new Uint8Array(byteLengthOf(constant));
  const file = openSync(constant.path, "r");
  try {
    fill(file, constant.offset, bytes, constant.path);
    return bytes;
  } finally {
    closeSync(file);
  }
}

/** An array of a constant's elements over bytes that begin where the elements' size says. */
export const arrayOver = <D extends "float32" | "float16" | "bfloat16">(dtype: D, bytes: Uint8Array): ArrayOf[D] =>
  (dtype === "float32"
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
    : new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1)) as ArrayOf[D];
