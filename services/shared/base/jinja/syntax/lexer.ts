import { raise } from "../fault.js";
import { spaces, stripRight } from "../values/spaces.js";
import { unescapeText } from "./unescape.js";

/** A piece of a template: text between tags, the bounds of tags, or a word of an expression. Operators have their text as type. */
export interface Token {
  readonly type: string;
  /** Text of data, names and strings; digits of numbers. */
  readonly value: string;
  readonly line: number;
}

const patterns = {
  space: new RegExp(`[${spaces}]+`, "y"),
  float: /(?<!\.)(\d+_)*\d+((\.(\d+_)*\d+)?e[+-]?(\d+_)*\d+|\.(\d+_)*\d+)/iy,
  integer: /0b(_?[01])+|0o(_?[0-7])+|0x(_?[\da-f])+|[1-9](_?\d)*|0(_?0)*/iy,
  name: /[\p{L}\p{N}\p{M}\p{Pc}·]+/uy,
  string: /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy,
  operator: /\/\/|\*\*|==|!=|>=|<=|[+\-/*%~[\](){}><=.:|,;]/y,
} as const;

const identifier = /^[\p{XID_Start}_][\p{XID_Continue}]*$/u;

const begins = new RegExp(`\\{%([-+]?)[${spaces}]*raw[${spaces}]*(?:-%\\}[${spaces}]*|%\\})|\\{([{%#])([-+]?)`, "g");
const rawEnd = new RegExp(`\\{%([-+]?)[${spaces}]*endraw[${spaces}]*(?:\\+%\\}|-%\\}[${spaces}]*|%\\}\\n?)`, "g");
const commentEnd = new RegExp(`\\+#\\}|-#\\}[${spaces}]*|#\\}\\n?`, "g");
const blockEnd = new RegExp(`\\+%\\}|-%\\}[${spaces}]*|%\\}\\n?`, "y");
const variableEnd = new RegExp(`-\\}\\}[${spaces}]*|\\}\\}`, "y");
const blank = new RegExp(`^[${spaces}]+$`);

const closes: Readonly<Record<string, string>> = { "{": "}", "(": ")", "[": "]" };

/** Splits a template as Jinja2 does with trim_blocks and lstrip_blocks; throws TemplateSyntaxError faults. */
export function tokenize(source: string): Token[] {
  const text = source.replace(/\r\n|\r/g, "\n").replace(/\n$/, "");
  return new Lexer(text).run();
}

class Lexer {
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Whether the last match ended a line; at the start it counts as such. */
  #lineStarts = true;

  constructor(text: string) {
    this.#text = text;
  }

  run(): Token[] {
    while (this.#at < this.#text.length) {
      begins.lastIndex = this.#at;
      const match = begins.exec(this.#text);
      if (match === null) {
        this.#data(this.#text.slice(this.#at));
        this.#advance(this.#text.length);
      } else this.#tag(match);
    }
    this.#push("eof", "");
    return this.#tokens;
  }

  #tag(match: RegExpExecArray): void {
    const sort = match[2] ?? "raw";
    this.#data(this.#leftOf(match.index, match[3] ?? match[1] ?? "", sort !== "{"));
    this.#advance(match.index + match[0].length);
    if (sort === "raw") this.#raw();
    else if (sort === "#") this.#comment();
    else this.#expression(sort === "{" ? "variable" : "block");
  }

  /** The text from here to `end`, without the blanks that a tag with this sign takes away on its left. */
  #leftOf(end: number, sign: string, isBlock: boolean): string {
    const text = this.#text.slice(this.#at, end);
    if (sign === "-") return stripRight(text);
    if (sign === "+" || !isBlock) return text;
    const start = text.lastIndexOf("\n") + 1;
    return (start > 0 || this.#lineStarts) && blank.test(text.slice(start)) ? text.slice(0, start) : text;
  }

  #raw(): void {
    rawEnd.lastIndex = this.#at;
    const match = rawEnd.exec(this.#text);
    if (match === null) raise("TemplateSyntaxError", "Missing end of raw directive", this.#line);
    this.#data(this.#leftOf(match.index, match[1]!, true));
    this.#advance(match.index + match[0].length);
  }

  #comment(): void {
    commentEnd.lastIndex = this.#at;
    const match = commentEnd.exec(this.#text);
    if (match === null) raise("TemplateSyntaxError", "Missing end of comment tag", this.#line);
    this.#advance(match.index + match[0].length);
  }

  #expression(sort: "variable" | "block"): void {
    this.#push(`${sort}_begin`, "");
    const end = sort === "block" ? blockEnd : variableEnd;
    const open: string[] = [];
    while (this.#at < this.#text.length) {
      if (open.length === 0) {
        const match = this.#match(end);
        if (match !== null) {
          this.#push(`${sort}_end`, "");
          this.#advance(this.#at + match.length);
          return;
        }
      }
      this.#word(open);
    }
  }

  #word(open: string[]): void {
    for (const [type, pattern] of Object.entries(patterns)) {
      const match = this.#match(pattern);
      if (match === null) continue;
      if (type === "operator") this.#balance(match, open);
      if (type === "name" && !identifier.test(match)) raise("TemplateSyntaxError", "Invalid character in identifier", this.#line);
      if (type === "string") this.#push(type, unescapeText(match.slice(1, -1), this.#line));
      else if (type !== "space") this.#push(type === "operator" ? match : type, match);
      this.#advance(this.#at + match.length);
      return;
    }
    raise("TemplateSyntaxError", `unexpected char ${JSON.stringify(this.#text[this.#at])} at ${this.#at}`, this.#line);
  }

  #balance(operator: string, open: string[]): void {
    if (operator in closes) open.push(closes[operator]!);
    else if ("})]".includes(operator)) {
      const expected = open.pop();
      if (expected === operator) return;
      const hint = expected === undefined ? "" : `, expected '${expected}'`;
      raise("TemplateSyntaxError", `unexpected '${operator}'${hint}`, this.#line);
    }
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] ?? null;
  }

  #data(text: string): void {
    if (text !== "") this.#push("data", text);
  }

  #push(type: string, value: string): void {
    this.#tokens.push({ type, value, line: this.#line });
  }

  #advance(to: number): void {
    for (let at = this.#text.indexOf("\n", this.#at); at !== -1 && at < to; at = this.#text.indexOf("\n", at + 1)) this.#line++;
    this.#lineStarts = this.#text[to - 1] === "\n";
    this.#at = to;
  }
}
