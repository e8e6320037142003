/** What is wrong with a JSON text: the place and the kind of fault, never what stands there, since the file may be another's. */
export class JsonFault extends SyntaxError {
  override readonly name = "JsonFault";
  readonly #isLimit: boolean;

  /** @param isLimit whether the text may well be JSON, and holds too much */
  constructor(message: string, isLimit = false) {
    super(message);
    this.#isLimit = isLimit;
  }

  /** A sentence about what was read. @example fault.of("config.json") // config.json is not JSON: it ends too early at line 1, column 9 */
  of(what: string): string {
    return this.#isLimit ? `${what} ${this.message.replace(/^it /, "")}` : `${what} is not JSON: ${this.message}`;
  }
}

/** What is to be said of an error that reading a JSON text ended with. */
export const jsonError = (error: unknown, what: string): string =>
  error instanceof JsonFault ? error.of(what) : `${what} is JSON that cannot be read (${(error as Error).name})`;

/** How much a JSON text may hold. */
export interface JsonLimits {
  /** Most values, keys included. */
  readonly values: number;
  /** Most lists and objects within each other. */
  readonly depth: number;
}

/** Enough for every document of settings and every row; a text beyond them would take gigabytes, or all of the stack. */
const usual: JsonLimits = { values: 4_000_000, depth: 1000 };

/**
 * Parses a JSON text.
 *
 * @param limits what differs from 4,000,000 values and 1,000 lists and objects within each other
 * @throws JsonFault with the place and kind of the first fault, or the limit that is passed
 */
export function readJson(text: string, limits: Partial<JsonLimits> = {}): unknown {
  checkJson(text, limits);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw faultIn(text);
  }
}

const [quote, backslash, comma, colon] = [34, 92, 44, 58];
const [open, close, openBrace, closeBrace] = [91, 93, 123, 125];

/** Passes a text over for how much it holds, whether or not it is JSON. @throws JsonFault naming the limit that is passed */
export function checkJson(text: string, limits: Partial<JsonLimits> = {}): void {
  const { values, depth: deepest } = { ...usual, ...limits };
  // So short a text passes no limit.
  if (text.length <= Math.min(values, deepest)) return;
  let [depth, count] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = textEnd(text, at);
      if (at < 0) return;
    } else if (code === open || code === openBrace) {
      count++;
      if (++depth > deepest) throw new JsonFault(`it has more than ${deepest} lists and objects within each other; write it flatter`, true);
    } else if (code === close || code === closeBrace) depth--;
    else if (code === comma || code === colon) count++;
    if (count > values) throw new JsonFault(`it has more than ${values} values; make it smaller`, true);
  }
}

/** The position of the quotation mark that ends a text; -1 if none does. */
function textEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (text.charCodeAt(before) === backslash) before--;
    if ((end - before) % 2 === 1) return end;
  }
  return -1;
}

/** Where a text that JSON.parse refuses has its first fault, and of what kind. */
export function faultIn(text: string): JsonFault {
  const { at, kind } = new Scanner(text).fault();
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  return new JsonFault(`${kind} at line ${line}, column ${at - before.lastIndexOf("\n")}`);
}

interface Fault {
  readonly at: number;
  readonly kind: string;
}

/** What may come next: a value; a value or the end of its list; a key; a key or the end of its object; a colon; a comma or an end. */
type Expected = "value" | "first value" | "key" | "first key" | "colon" | "more";

const numberOrWord = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.eE])|true|false|null/y;
const escapes = new Set('"\\/bfnrtu');

/** Walks through a text as JSON's grammar has it, up to its first fault. */
class Scanner {
  readonly #text: string;
  /** What ends the lists and objects that are open. */
  readonly #ends: string[] = [];
  #expected: Expected = "value";

  constructor(text: string) {
    this.#text = text;
  }

  fault(): Fault {
    const text = this.#text;
    for (let at = 0; at < text.length; ) {
      const character = text[at]!;
      if (" \t\n\r".includes(character)) at++;
      else {
        const next = this.#step(at, character);
        if (typeof next !== "number") return next;
        at = next;
      }
    }
    return { at: text.length, kind: text.trim() === "" ? "there is nothing" : "it ends too early" };
  }

  /** Takes one piece of the text. @returns where the next one may begin, or what is wrong */
  #step(at: number, character: string): number | Fault {
    if (this.#expected === "more" && this.#ends.length === 0) return { at, kind: "there is something behind its end" };
    const wantsKey = this.#expected === "key" || this.#expected === "first key";
    const wantsValue = this.#expected === "value" || this.#expected === "first value";
    if (character === '"' && (wantsKey || wantsValue)) {
      this.#expected = wantsKey ? "colon" : "more";
      return this.#string(at);
    }
    if (wantsValue && (character === "{" || character === "[")) {
      this.#ends.push(character === "{" ? "}" : "]");
      this.#expected = character === "{" ? "first key" : "first value";
      return at + 1;
    }
    if (character === this.#ends.at(-1) && ["more", character === "}" ? "first key" : "first value"].includes(this.#expected)) {
      this.#ends.pop();
      this.#expected = "more";
      return at + 1;
    }
    if (character === "," && this.#expected === "more") {
      this.#expected = this.#ends.at(-1) === "}" ? "key" : "value";
      return at + 1;
    }
    if (character === ":" && this.#expected === "colon") {
      this.#expected = "value";
      return at + 1;
    }
    return wantsValue ? this.#scalar(at) : { at, kind: "an unexpected character" };
  }

  #scalar(at: number): number | Fault {
    numberOrWord.lastIndex = at;
    const found = numberOrWord.exec(this.#text)?.[0];
    if (found === undefined) return { at, kind: "an unexpected character" };
    this.#expected = "more";
    return at + found.length;
  }

  #string(start: number): number | Fault {
    const text = this.#text;
    for (let at = start + 1; at < text.length; at++) {
      const character = text[at]!;
      if (character === '"') return at + 1;
      if (character < " ") return { at, kind: "a line break or another control character in a text" };
      if (character !== "\\") continue;
      const isEscape = escapes.has(text[at + 1] ?? "") && (text[at + 1] !== "u" || /^[0-9a-fA-F]{4}$/.test(text.slice(at + 2, at + 6)));
      if (!isEscape && at + 1 < text.length) return { at, kind: "an escape that JSON does not have" };
      at++;
    }
    return { at: text.length, kind: "a text that does not end" };
  }
}
