// From a template's source to tokens, with the whitespace rules of Jinja2's trim_blocks and lstrip_blocks.
import { TemplateFailure } from "./failure.js";
import { spaces } from "./spaces.js";

export type TokenType =
  | "data"
  | "variable_begin"
  | "variable_end"
  | "block_begin"
  | "block_end"
  | "name"
  | "string"
  | "integer"
  | "float"
  | "operator"
  | "end";

export interface Token {
  readonly type: TokenType;
  /** Text, name, operator, or a literal's value as text. */
  readonly value: string;
  readonly line: number;
}

const begins = new RegExp(`\\{%[-+]?${spaces}*raw${spaces}*(?:-%\\}${spaces}*|%\\})|\\{#[-+]?|\\{%[-+]?|\\{\\{[-+]?`, "g");
const commentEnd = new RegExp(`\\+#\\}|-#\\}${spaces}*|#\\}\\n?`, "g");
const rawEnd = new RegExp(`\\{%([-+]?)${spaces}*endraw${spaces}*(?:\\+%\\}|-%\\}${spaces}*|%\\}\\n?)`, "g");
const blockEnd = new RegExp(`\\+%\\}|-%\\}${spaces}*|%\\}\\n?`, "y");
const variableEnd = new RegExp(`-\\}\\}${spaces}*|\\}\\}`, "y");
const onlySpace = new RegExp(`^${spaces}+$`, "u");
const trailing = new RegExp(`${spaces}+$`, "u");

const rules: readonly (readonly [TokenType | "space", RegExp])[] = [
  ["space", new RegExp(`${spaces}+`, "y")],
  ["float", /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy],
  ["integer", /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy],
  ["name", /[\p{L}\p{M}\p{N}\p{Pc}]+/uy],
  ["string", /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy],
  ["operator", /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y],
];

const closing: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** The tokens of a template. @throws TemplateFailure with the line, for what is no Jinja */
export function tokenize(source: string): Token[] {
  const text = source.replace(/\r\n|\r/g, "\n").replace(/\n$/, "");
  return new Lexer(text).run();
}

class Lexer {
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Whether what was read last ended a line. */
  #fresh = true;

  constructor(text: string) {
    this.#text = text;
  }

  run(): Token[] {
    while (this.#at < this.#text.length) this.#root();
    this.#push("end", "");
    return this.#tokens;
  }

  #root(): void {
    begins.lastIndex = this.#at;
    const found = begins.exec(this.#text);
    if (!found) {
      this.#push("data", this.#text.slice(this.#at));
      this.#move(this.#text.length);
      return;
    }
    const [begin] = found;
    const data = this.#text.slice(this.#at, found.index);
    const sign = /^\{[%#{]([-+]?)/.exec(begin)![1]!;
    this.#push("data", this.#stripped(data, sign, begin.startsWith("{{")));
    this.#move(found.index + begin.length);
    if (begin.startsWith("{#")) this.#comment();
    else if (/raw/.test(begin)) this.#raw();
    else if (begin.startsWith("{{")) this.#code("variable", variableEnd);
    else this.#code("block", blockEnd);
  }

  /** The text before a tag, as its sign or lstrip_blocks leaves it. */
  #stripped(data: string, sign: string, variable: boolean): string {
    if (sign === "-") return data.replace(trailing, "");
    if (sign === "+" || variable) return data;
    const start = data.lastIndexOf("\n") + 1;
    return (start > 0 || this.#fresh) && onlySpace.test(data.slice(start)) ? data.slice(0, start) : data;
  }

  #comment(): void {
    commentEnd.lastIndex = this.#at;
    const found = commentEnd.exec(this.#text);
    if (!found) throw new TemplateFailure("Missing end of comment tag", this.#line);
    this.#move(found.index + found[0].length);
  }

  #raw(): void {
    rawEnd.lastIndex = this.#at;
    const found = rawEnd.exec(this.#text);
    if (!found) throw new TemplateFailure("Missing end of raw directive", this.#line);
    this.#push("data", this.#stripped(this.#text.slice(this.#at, found.index), found[1]!, false));
    this.#move(found.index + found[0].length);
  }

  #code(kind: "variable" | "block", end: RegExp): void {
    this.#push(`${kind}_begin`, "");
    const open: string[] = [];
    for (;;) {
      end.lastIndex = this.#at;
      const ended = open.length === 0 ? end.exec(this.#text) : null;
      if (ended) {
        this.#push(`${kind}_end`, "");
        this.#move(this.#at + ended[0].length);
        return;
      }
      if (this.#at >= this.#text.length)
        throw new TemplateFailure(
          `unexpected end of template, expected 'end of ${kind === "block" ? "statement block" : "print statement"}'.`,
          this.#line,
        );
      this.#token(open);
    }
  }

  #token(open: string[]): void {
    for (const [type, rule] of rules) {
      rule.lastIndex = this.#at;
      const found = rule.exec(this.#text)?.[0];
      if (!found || (type === "float" && this.#text[this.#at - 1] === ".")) continue;
      if (type === "operator") this.#balance(found, open);
      if (type !== "space") this.#push(type, type === "string" ? unescaped(found.slice(1, -1), this.#line) : found);
      this.#move(this.#at + found.length);
      return;
    }
    throw new TemplateFailure(`unexpected char ${JSON.stringify(this.#text[this.#at])} at ${this.#at}`, this.#line);
  }

  #balance(operator: string, open: string[]): void {
    if (closing[operator]) open.push(closing[operator]);
    else if (operator === ")" || operator === "]" || operator === "}") {
      const expected = open.pop();
      if (expected === undefined) throw new TemplateFailure(`unexpected '${operator}'`, this.#line);
      if (expected !== operator) throw new TemplateFailure(`unexpected '${operator}', expected '${expected}'`, this.#line);
    }
  }

  #push(type: TokenType, value: string): void {
    if (type !== "data" || value !== "") this.#tokens.push({ type, value, line: this.#line });
  }

  #move(to: number): void {
    for (let i = this.#at; i < to; i++) if (this.#text[i] === "\n") this.#line++;
    if (to > this.#at) this.#fresh = this.#text[to - 1] === "\n";
    this.#at = to;
  }
}

const simple: Readonly<Record<string, string>> = {
  ...{ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\", "'": "'", '"': '"', "\n": "" },
};

/** A string literal's text, by Python's escapes. */
function unescaped(text: string, line: number): string {
  return text.replace(
    /\\(?:x([\da-fA-F]{0,2})|u([\da-fA-F]{0,4})|U([\da-fA-F]{0,8})|([0-7]{1,3})|N\{([^}]*)\}|(.))/gs,
    (whole, x, u, wide, octal, name, other) => {
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      if (name !== undefined) throw new TemplateFailure(`the escape ${whole} is not supported; write the character itself`, line);
      const hex = [
        [x, 2],
        [u, 4],
        [wide, 8],
      ].find(([digits]) => digits !== undefined);
      if (hex) {
        if (hex[0].length !== hex[1]) throw new TemplateFailure(`the escape ${whole} is cut off`, line);
        return String.fromCodePoint(Number.parseInt(hex[0], 16));
      }
      return simple[other] ?? whole;
    },
  );
}
