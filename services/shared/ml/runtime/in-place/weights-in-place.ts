import { found } from "../../../base/found.js";
import { spawnWorker, type WorkerHandle } from "../../../base/workers.js";
import type { ConstantUse, Packed, Product } from "../../graph/encode.js";
import { byteLengthOf, type Constant, type FileTensor, isInFile } from "../../graph/file-tensor.js";
import { sizeOf } from "../../graph/tensor.js";
import { pageBytes } from "../../graph/weights-file.js";
import { TemporaryWeights } from "../temporary-weights.js";
import { type Mapping, mappingsOf, replace } from "./own-memory.js";
import { type ProductMatrix, packedElements, packedIndex, rowsTogether } from "./panels.js";
import { sparseHash } from "./sparse-hash.js";
import { mostWords, type Rows, RowsWriter, type Target } from "./write-rows.js";

/** A constant of a graph: where its template lies in the file, and how it is laid out, if a product reads it. */
interface Part {
  readonly name: string;
  readonly words: number;
  readonly offset: number;
  readonly packed?: { readonly matrix: ProductMatrix; readonly offset: number };
}

/** A constant's place. */
interface Place extends Target {
  readonly name: string;
}

/** From this many words on a second thread writes, too. */
const worthSharing = 2 ** 23;

/**
 * Weights of a compiled graph that others can be written over, without compiling it again.
 *
 * The runtime lays the weights of products out in memory of its own, of which nobody knows where it is. But where a model says that a
 * file has a weight laid out already, it maps that file, privately, and where a process has mapped a file the system tells. So a graph is
 * compiled with a template of its weights: a sparse file of zeros, each weight with a number of its own in its last element, by which
 * the runtime finds what it would lay out in the file. Its places are then taken over as memory of the process's own, and the weights
 * written there, in the runtime's layout.
 *
 * That rests on how the runtime names and lays out matrices, which `canWriteInPlace` tries before anybody uses it.
 */
export class WeightsInPlace {
  readonly #template = new TemporaryWeights();
  readonly #parts: Part[] = [];
  #places: readonly Place[] = [];
  #writer: RowsWriter | undefined;
  #other: WorkerHandle<RowsWriter> | undefined;
  #isRefused = false;

  /** Whether a graph has something that can't be written in place: products of several kinds that read the same weight. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Puts a template of a weight into the file. */
  place(
    constant: FileTensor,
    { name, products }: ConstantUse,
  ): { readonly path: string; readonly offset: number; readonly packed?: Packed } {
    const bytes = byteLengthOf(constant);
    const path = this.#template.path;
    // In its page it lies as in its file, so that the file can be mapped there.
    const inPage = constant.offset % pageBytes;
    const offset = this.#template.reserve(inPage + bytes) + inPage;
    const mark = Float32Array.of(this.#parts.length + 1);
    this.#template.write(new Uint8Array(mark.buffer), offset + bytes - mark.byteLength);
    const part = { name, words: bytes >> 2, offset };
    const [product, ...more] = constant.dims.length === 2 ? products : [];
    if (more.length > 0) this.#isRefused = true;
    if (!product) {
      this.#parts.push(part);
      return { path, offset };
    }
    const matrix = matrixOf(constant, product);
    const elements = packedElements(matrix);
    const packed = this.#template.reserve(elements * 4);
    this.#template.write(new Uint8Array(4), packed + (elements - 1) * 4);
    this.#parts.push({ ...part, packed: { matrix, offset: packed } });
    const last = packedIndex(matrix, matrix.outputs - 1, matrix.inputs - 1);
    const key = `${product.op}+${sparseHash(elements, last, new Int32Array(mark.buffer)[0]!)}`;
    return { path, offset, packed: { key, offset: packed, bytes: elements * 4 } };
  }

  /** Finds the weights' places, when the graph is compiled. */
  open(): void {
    const mappings = mappingsOf(this.#template.path);
    const packed = this.#parts.flatMap(({ packed }) => (packed ? [packed.offset] : []));
    const addressOf = (offset: number, words: number): bigint | undefined => {
      const mapping = mappings.find((each) => each.offset <= offset && offset + words * 4 <= each.offset + each.bytes);
      return mapping && mapping.address + BigInt(offset - mapping.offset);
    };
    for (const mapping of mappings) if (packed.some((offset) => shows(mapping, offset))) replace(mapping);
    this.#places = this.#parts.flatMap(({ name, words, offset, packed }): Place[] => {
      // What only products read, the runtime has let go of.
      const address = addressOf(offset, words);
      const plain = address === undefined ? [] : [{ name, address, words }];
      if (!packed) return plain;
      const { matrix } = packed;
      const elements = packedElements(matrix);
      return [...plain, { name, address: found(addressOf(packed.offset, elements), `the place of ${name}`), words: elements, matrix }];
    });
  }

  /**
   * Writes weights of the same shapes.
   *
   * @param threads 2: a second thread helps, if it is worth it
   * @throws DataLoss if a file is too short; some are written then
   */
  async write(weights: ReadonlyMap<string, Constant>, threads: number): Promise<void> {
    const list = this.#places.flatMap((place) => rowsOf(found(weights.get(place.name), `weight ${place.name}`), place));
    const next = new Int32Array(new SharedArrayBuffer(4));
    const words = this.#places.reduce((sum, place) => sum + place.words, 0);
    this.#writer ??= new RowsWriter();
    if (threads < 2 || words < worthSharing || !list.every(({ weight }) => isInFile(weight))) return this.#writer.write(list, next);
    this.#other ??= spawnWorker<RowsWriter>(new URL("./write-worker.js", import.meta.url));
    this.#other.hold(true);
    const written = this.#other.api.write(list, next);
    try {
      this.#writer.write(list, next);
    } finally {
      // Well or not: nobody writes any more when this has ended.
      await written;
      this.#other.hold(false);
    }
  }

  /** Removes the file of the template: what is mapped of it stays. */
  closeTemplate(): void {
    this.#template.close();
  }

  /** Forgets the places, before their graph is released. */
  async forget(): Promise<void> {
    this.#places = [];
    this.#writer?.close();
    this.#writer = undefined;
    await this.#other?.close();
    this.#other = undefined;
  }
}

/** A weight in pieces that can be written by themselves. */
function rowsOf(weight: Constant, target: Place): Rows[] {
  const { matrix } = target;
  const width = matrix ? (matrix.transB ? matrix.inputs : matrix.outputs) : 1;
  const together = matrix ? rowsTogether(matrix) : 1;
  const each = Math.max(1, Math.floor(mostWords / width / together)) * together;
  const all = sizeOf(weight.dims) / width;
  return Array.from({ length: Math.ceil(all / each) }, (_, i) => {
    const [first, rows] = [i * each, Math.min(each, all - i * each)];
    return { weight, target, first, before: first * width, words: rows * width };
  });
}

function matrixOf({ dims }: FileTensor, { transB }: Product): ProductMatrix {
  const [rows, columns] = dims as readonly [number, number];
  return transB ? { outputs: rows, inputs: columns, transB } : { outputs: columns, inputs: rows, transB };
}

const shows = ({ offset, bytes }: Mapping, at: number): boolean => offset <= at && at < offset + bytes;
