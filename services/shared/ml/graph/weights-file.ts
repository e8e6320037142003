import { closeSync, openSync, writeSync } from "node:fs";
import { type FileTensor, piecesOf } from "./file-tensor.js";
import { type DType, dtypeInfo, sizeOf, type Tensor } from "./tensor.js";

/** A file that constants are appended to, each at the start of a page so that it can be mapped into memory. */
export class WeightsFile {
  /** As {@link FileTensor} has it. */
  readonly path: string;
  readonly #file: number;
  #end = 0;

  /** @param path as {@link FileTensor} has it, where the tensors are to be mapped from here */
  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, "w");
  }

  /** Appends a constant as it is. */
  copy<D extends DType>(constant: Tensor<D> | FileTensor<D>): FileTensor<D> {
    return this.append(constant.dtype, constant.dims, piecesOf(constant));
  }

  /** Appends a tensor of these pieces, one behind the other. */
  append<D extends DType>(dtype: D, dims: readonly number[], pieces: Iterable<Uint8Array>): FileTensor<D> {
    const offset = this.reserve(sizeOf(dims) * dtypeInfo[dtype].bytes);
    let at = offset;
    for (const piece of pieces) {
      this.write(piece, at);
      at += piece.length;
    }
    return { dtype, dims, path: this.path, offset };
  }

  /** Room for a tensor of so many bytes: where it begins. */
  reserve(bytes: number): number {
    const offset = Math.ceil(this.#end / pageBytes) * pageBytes;
    this.#end = offset + bytes;
    return offset;
  }

  /** Writes bytes at a place. */
  write(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done, bytes.length - done, at + done);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** What is mapped into memory begins at a multiple of it. */
export const pageBytes = 4096;
