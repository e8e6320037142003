import { bytesOf, refused } from "./bytes.js";

/** Most bytes of one row, and of the white space before the first. */
const mostBytes = 64 * 2 ** 20;

const tooLong = (where: string) => refused(`${where} has more than ${mostBytes} bytes; a row is one prompt: cut it, or leave it out`);

/** The bytes of one JSON value of a file. */
export interface Piece {
  readonly bytes: Buffer;
  /** "FILE line N"; in a JSON array "FILE line N, row M", where N is the line that the row begins in. */
  readonly where: string;
}

const [lineFeed, quote, comma, backslash] = [10, 34, 44, 92];
const [open, close, openBrace, closeBrace] = [91, 93, 123, 125];
const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);

/**
 * Cuts a file into JSON values: its lines, or, where it begins with a square bracket, the members of its one array. Lines end
 * at a line feed alone, whatever else Unicode calls the end of a line.
 *
 * @throws InvalidArgument naming the file, if an array does not end or has something behind its end, or a value is too long
 */
export async function* piecesOf(file: string): AsyncGenerator<Piece> {
  const chunks = bytesOf(file);
  const { isArray, all } = await lookedAt(chunks, file);
  yield* isArray ? membersOf(all, file) : linesOf(all, file);
}

/** Looks at the first byte that is no space. */
async function lookedAt(
  chunks: AsyncGenerator<Buffer>,
  file: string,
): Promise<{ readonly isArray: boolean; readonly all: AsyncIterable<Buffer> }> {
  const seen: Buffer[] = [];
  let first: number | undefined;
  for (let bytes = 0; first === undefined; bytes += seen.at(-1)!.length) {
    if (bytes > mostBytes) {
      await chunks.return(undefined);
      throw tooLong(`${file}: the white space before its first row`);
    }
    const { value, done } = await chunks.next();
    if (done) break;
    seen.push(value);
    first = value.find((byte) => !isSpace(byte));
  }
  async function* all(): AsyncGenerator<Buffer> {
    try {
      yield* seen;
      yield* chunks;
    } finally {
      await chunks.return(undefined);
    }
  }
  return { isArray: first === open, all: all() };
}

async function* linesOf(chunks: AsyncIterable<Buffer>, file: string): AsyncGenerator<Piece> {
  let [number, held, parts] = [0, 0, [] as Buffer[]];
  // No iterable: an empty one for each of millions of empty lines would keep everything else waiting.
  const line = (last: Buffer): Piece | undefined => {
    number++;
    if (held + last.length > mostBytes) throw tooLong(`${file} line ${number}`);
    const bytes = parts.length ? Buffer.concat([...parts, last]) : last;
    [held, parts] = [0, []];
    return bytes.every(isSpace) ? undefined : { bytes, where: `${file} line ${number}` };
  };
  for await (const chunk of chunks) {
    let at = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, at)) {
      const piece = line(chunk.subarray(at, end));
      if (piece) yield piece;
      for (at = end + 1; chunk[at] === lineFeed; at++) number++;
    }
    parts.push(chunk.subarray(at));
    held += chunk.length - at;
    if (held > mostBytes) throw tooLong(`${file} line ${number + 1}`);
  }
  const piece = line(Buffer.alloc(0));
  if (piece) yield piece;
}

async function* membersOf(chunks: AsyncIterable<Buffer>, file: string): AsyncGenerator<Piece> {
  const scanner = new ArrayScanner(file);
  for await (const chunk of chunks) yield* scanner.members(chunk);
  scanner.end();
}

/** Finds the members of a JSON array without looking into them. */
class ArrayScanner {
  readonly #file: string;
  #parts: Buffer[] = [];
  #held = 0;
  #count = 0;
  /** Line that is read, and that in which the member begins; 0 while it has not begun. */
  #line = 1;
  #begin = 0;
  /** Brackets and braces that are open: 0 before and behind the array, 1 between its members. */
  #depth = 0;
  #ended = false;
  #inString = false;
  #escaped = false;

  constructor(file: string) {
    this.#file = file;
  }

  *members(chunk: Buffer): Generator<Piece> {
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      if (this.#inString) {
        i = this.#stringEnd(chunk, i);
        continue;
      }
      const byte = chunk[i]!;
      if (byte === lineFeed) this.#line++;
      else if (this.#begin === 0 && this.#depth === 1 && !isSpace(byte)) this.#begin = this.#line;
      if (byte === quote) this.#inString = true;
      else if (this.#depth === 0) {
        if (this.#ended && !isSpace(byte)) throw this.#refuse("has more behind the end of its list");
        if (byte === open) [this.#depth, from] = [1, i + 1];
      } else if (this.#depth === 1 && (byte === comma || byte === close)) {
        const member = this.#member(chunk.subarray(from, i), byte === close);
        if (member) yield member;
        from = i + 1;
        if (byte === close) [this.#depth, this.#ended] = [0, true];
      } else if (byte === open || byte === openBrace) this.#depth++;
      else if (byte === close || byte === closeBrace) this.#depth--;
    }
    if (this.#ended) return;
    this.#parts.push(chunk.subarray(from));
    this.#hold(chunk.length - from);
  }

  /** @throws InvalidArgument if the array has not ended */
  end(): void {
    if (!this.#ended) throw this.#refuse(`ends within its list, in or behind row ${this.#count + 1}: it was cut off`);
  }

  /** Goes on within a string. @returns the position of its last quotation mark, or the chunk's length if it goes on */
  #stringEnd(chunk: Buffer, start: number): number {
    let from = this.#escaped ? start + 1 : start;
    this.#escaped = false;
    for (;;) {
      const end = chunk.indexOf(quote, from);
      const stop = end < 0 ? chunk.length : end;
      let before = stop - 1;
      while (before >= from && chunk[before] === backslash) before--;
      const escaped = (stop - before) % 2 === 0;
      if (end < 0) {
        this.#escaped = escaped;
        return stop;
      }
      this.#inString = escaped;
      if (!escaped) return end;
      from = end + 1;
    }
  }

  /** Counts the bytes of the member that is read. @throws InvalidArgument if it is too long */
  #hold(bytes: number): void {
    this.#held += bytes;
    if (this.#held > mostBytes) throw tooLong(`${this.#file} line ${this.#begin || this.#line}, row ${this.#count + 1}`);
  }

  #member(last: Buffer, isLast: boolean): Piece | undefined {
    this.#hold(last.length);
    const bytes = Buffer.concat([...this.#parts, last]);
    const line = this.#begin;
    [this.#parts, this.#held, this.#begin] = [[], 0, 0];
    if (isLast && this.#count === 0 && bytes.every(isSpace)) return undefined;
    return { bytes, where: `${this.#file} line ${line}, row ${++this.#count}` };
  }

  #refuse(what: string) {
    return refused(`${this.#file} ${what}; a dataset has one JSON object on each line, or is one list of objects`);
  }
}
