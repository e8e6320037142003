import { type FileTensor, isInFile } from "../../graph/file-tensor.js";
import type { Tensor } from "../../graph/tensor.js";
import { pageBytes } from "../../graph/weights-file.js";
import { FileWindow, wordsAt } from "./own-memory.js";
import { type ProductMatrix, packRows } from "./panels.js";

/** Memory that a compiled graph reads a constant from. */
export interface Target {
  readonly address: bigint;
  readonly words: number;
  /** It is laid out for products there; else it lies as it is. */
  readonly matrix?: ProductMatrix;
}

/** Some rows of a weight, and where they go. */
export interface Rows {
  readonly weight: Tensor | FileTensor;
  /** The first of them. */
  readonly first: number;
  /** Words of the rows before them, and of themselves. */
  readonly before: number;
  readonly words: number;
  readonly target: Target;
}

/** Most words of {@link Rows}. */
export const mostWords = 2 ** 22;

/** From this many words on what isn't laid out is mapped, not copied: of an embedding few rows are ever read. */
const worthMapping = 2 ** 18;

const inPage = (address: bigint): number => Number(address % BigInt(pageBytes));

/** Brings rows of weights to where graphs read them. */
export class RowsWriter {
  readonly #window = new FileWindow(mostWords * 4);
  readonly #memory = new Map<bigint, Int32Array>();

  /**
   * Writes what of a list nobody else has begun with.
   *
   * @param next index of the first that nobody has begun with, which other threads share
   */
  write(list: readonly Rows[], next: Int32Array<SharedArrayBuffer>): void {
    try {
      for (let i = Atomics.add(next, 0, 1); i < list.length; i = Atomics.add(next, 0, 1)) this.#write(list[i]!);
    } finally {
      this.#window.clear();
    }
  }

  #write({ weight, first, before, words, target: { address, words: all, matrix } }: Rows): void {
    const offset = isInFile(weight) ? weight.offset + before * 4 : 0;
    if (!matrix && all >= worthMapping && isInFile(weight) && inPage(address) === weight.offset % pageBytes) {
      this.#window.mapTo(address + BigInt(before * 4), weight.path, offset, words);
      return;
    }
    const memory = this.#memory.get(address) ?? wordsAt(address, all);
    this.#memory.set(address, memory);
    const read = isInFile(weight)
      ? this.#window.show(weight.path, offset, words)
      : new Int32Array(weight.data.buffer, weight.data.byteOffset + before * 4, words);
    if (matrix) packRows(read, first, matrix, memory);
    else memory.set(read, before);
  }

  close(): void {
    this.#memory.clear();
    this.#window.close();
  }
}
