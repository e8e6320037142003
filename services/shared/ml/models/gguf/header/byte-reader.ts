import { isUtf8 } from "node:buffer";
import { RetortError } from "../../../../base/errors.js";

/** Thrown where a file goes on beyond the bytes that are in memory: read more of it, and begin again. */
export class NeedMore extends Error {
  /** Bytes of the file, from its start, that are needed at least. */
  readonly bytes: number;

  constructor(bytes: number) {
    super(`${bytes} bytes of the file are needed`);
    this.bytes = bytes;
  }
}

/** Reads little-endian numbers and strings of a GGUF file one behind the other; what a file claims is checked before room is made for it. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #size: number;
  readonly #path: string;
  #at = 0;

  /**
   * @param bytes the file's first bytes
   * @param size length of the whole file
   * @param path for errors
   */
  constructor(bytes: Uint8Array, size: number, path: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#size = size;
    this.#path = path;
  }

  /** Place of the next byte in the file. */
  get at(): number {
    return this.#at;
  }

  uint8 = (): number => this.#bytes.readUInt8(this.#take(1));
  int8 = (): number => this.#bytes.readInt8(this.#take(1));
  uint16 = (): number => this.#bytes.readUInt16LE(this.#take(2));
  int16 = (): number => this.#bytes.readInt16LE(this.#take(2));
  uint32 = (): number => this.#bytes.readUInt32LE(this.#take(4));
  int32 = (): number => this.#bytes.readInt32LE(this.#take(4));
  float32 = (): number => this.#bytes.readFloatLE(this.#take(4));
  float64 = (): number => this.#bytes.readDoubleLE(this.#take(8));
  /** A 64-bit number; a bigint where no JavaScript number holds it. */
  uint64 = (): number | bigint => asNumber(this.#bytes.readBigUInt64LE(this.#take(8)));
  /** As {@link uint64}, signed. */
  int64 = (): number | bigint => asNumber(this.#bytes.readBigInt64LE(this.#take(8)));

  /**
   * A count of things that follow, each of at least so many bytes.
   *
   * @throws DataLoss if the rest of the file cannot hold them
   */
  count(what: string, leastBytes: number): number {
    const count = this.uint64();
    const room = this.#size - this.#at;
    if (typeof count === "number" && count * leastBytes <= room) return count;
    throw this.broken(`says that it has ${count} ${what}, and ${room} bytes are left`);
  }

  /** A string of UTF-8 behind its length. @throws DataLoss if it is longer than the file, or no UTF-8 */
  text(what: string): string {
    const length = this.count(`bytes of ${what}`, 1);
    const start = this.#take(length);
    const bytes = this.#bytes.subarray(start, start + length);
    if (!isUtf8(bytes)) throw this.broken(`has ${what} that is no UTF-8`);
    return bytes.toString("utf8");
  }

  /** An error that names the file and the place. */
  broken(what: string): RetortError {
    return new RetortError("DataLoss", `${this.#path} ${what} (at byte ${this.#at}); copy or download it again`);
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#size) throw this.broken("is cut off");
    if (start + length > this.#bytes.length) throw new NeedMore(start + length);
    this.#at += length;
    return start;
  }
}

const asNumber = (value: bigint): number | bigint => (BigInt.asIntN(54, value) === value ? Number(value) : value);
