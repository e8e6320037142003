import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { RetortError } from "../../../base/errors.js";
import koffi from "../../../base/foreign.js";
import { cutOff } from "../../graph/file-tensor.js";
import { pageBytes } from "../../graph/weights-file.js";

/** Memory of this process that a part of a file is mapped to. */
export interface Mapping {
  readonly address: bigint;
  readonly bytes: number;
  /** Where in the file it begins. */
  readonly offset: number;
}

/** Linux's constants of mmap and madvise. */
const flags = { read: 1, write: 2, shared: 0x1, private: 0x2, fixed: 0x10, anonymous: 0x20, populate: 0x8000, hugePages: 14 } as const;

const library = koffi.load(null);
const map = library.func("void *mmap(void *address, size_t bytes, int protection, int flags, int file, int64_t offset)");
const unmap = library.func("int munmap(void *address, size_t bytes)");
const advise = library.func("int madvise(void *address, size_t bytes, int advice)");

/** The mappings of a file that may be written to, which doesn't change it (Linux). @param path without symbolic links */
export function mappingsOf(path: string): Mapping[] {
  const lines = readFileSync("/proc/self/maps", "utf8").split("\n");
  return lines.flatMap((line) => {
    const [, from, to, access, offset, name] = /^(\w+)-(\w+) (\S+) (\w+) \S+ \d+\s+(.*)$/.exec(line) ?? [];
    if (name !== path || access !== "rw-p") return [];
    const address = BigInt(`0x${from}`);
    return [{ address, bytes: Number(BigInt(`0x${to}`) - address), offset: Number.parseInt(offset as string, 16) }];
  });
}

/** Puts zeros of the process's own in the place of a mapping of a file, on huge pages where the kernel has them. */
export function replace({ address, bytes }: Mapping): void {
  mapped(address, bytes, flags.read | flags.write, flags.private | flags.fixed | flags.anonymous);
  advise(address, bytes, flags.hugePages);
}

/** Words at an address, for as long as they are there: what is read or written after that ends the process. */
export const wordsAt = (address: bigint, words: number): Int32Array => new Int32Array(koffi.view(address, words * 4));

interface OpenFile {
  readonly path: string;
  readonly descriptor: number;
  readonly size: number;
}

/**
 * Shows parts of files, where they lie, without a copy: one at a time, all at the same place. Another place for each would have
 * JavaScript collect garbage all the time, which takes them for new memory.
 */
export class FileWindow {
  readonly #bytes: number;
  readonly #address: bigint;
  readonly #words: Int32Array;
  #file: OpenFile | undefined;

  /** @param bytes most that it shows */
  constructor(bytes: number) {
    this.#bytes = bytes + pageBytes;
    this.#address = mapped(0n, this.#bytes, flags.read, flags.private | flags.anonymous);
    this.#words = wordsAt(this.#address, this.#bytes >> 2);
  }

  /**
   * Words of a file, until it shows others.
   *
   * @param offset a multiple of 4
   * @throws DataLoss naming the file if it ends before
   */
  show(path: string, offset: number, words: number): Int32Array {
    const skipped = offset % pageBytes;
    if (skipped + words * 4 > this.#bytes) throw new RetortError("Internal", `${words} words are more than the window shows`);
    const file = this.#open(path, offset + words * 4);
    mapped(this.#address, skipped + words * 4, flags.read, flags.shared | flags.fixed | flags.populate, file, offset - skipped);
    return this.#words.subarray(skipped >> 2, (skipped >> 2) + words);
  }

  /**
   * Maps words of a file, privately, to where there is something else: at an address that lies in its page as the words do in theirs. What
   * stands before and behind them in their pages comes along.
   *
   * @throws DataLoss naming the file if it ends before
   */
  mapTo(address: bigint, path: string, offset: number, words: number): void {
    const skipped = offset % pageBytes;
    const file = this.#open(path, offset + words * 4);
    const how = flags.private | flags.fixed;
    mapped(address - BigInt(skipped), skipped + words * 4, flags.read | flags.write, how, file, offset - skipped);
  }

  #open(path: string, end: number): number {
    if (this.#file?.path !== path) {
      this.#closeFile();
      const descriptor = openSync(path, "r");
      this.#file = { path, descriptor, size: fstatSync(descriptor).size };
    }
    if (this.#file.size < end) throw cutOff(path);
    return this.#file.descriptor;
  }

  #closeFile(): void {
    if (this.#file) closeSync(this.#file.descriptor);
    this.#file = undefined;
  }

  /** Shows nothing any more, until the next {@link show}. */
  clear(): void {
    this.#closeFile();
    mapped(this.#address, this.#bytes, flags.read, flags.private | flags.fixed | flags.anonymous);
  }

  /** Gives its place back, once: nothing may be read of it any more. */
  close(): void {
    unmap(this.#address, this.#bytes);
  }
}

function mapped(address: bigint, bytes: number, protection: number, how: number, file = -1, offset = 0): bigint {
  const made = map(address, bytes, protection, how, file, offset) as bigint;
  if (made === failed) throw new RetortError("ResourceExhausted", `the system can't map ${bytes} bytes of memory`);
  return made;
}

/** What mmap gives when it fails: -1. */
const failed = 2n ** 64n - 1n;
