import { raise } from "../fault.js";
import { type Token, tokenize } from "./lexer.js";

/** Reads the tokens of a template one after another. A token is named by its type, or `name:word` for one certain word. */
export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(source: string) {
    this.#tokens = tokenize(source);
  }

  get current(): Token {
    return this.#tokens[this.#at]!;
  }

  /** The token after the current one. */
  get following(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)]!;
  }

  next(): Token {
    const token = this.current;
    if (token.type !== "eof") this.#at++;
    return token;
  }

  /** Whether the current token is one of those. */
  is(...names: readonly string[]): boolean {
    return names.some((name) => matches(this.current, name));
  }

  /** Goes past the current token if it is that one. */
  skip(name: string): boolean {
    const found = matches(this.current, name);
    if (found) this.next();
    return found;
  }

  /** @throws TemplateSyntaxError if the current token is another */
  expect(name: string): Token {
    if (this.is(name)) return this.next();
    const wanted = name.replace(/^name:/, "");
    if (this.current.type === "eof") this.fail(`unexpected end of template, expected '${wanted}'.`);
    return this.fail(`expected token '${describe(wanted)}', got '${describeToken(this.current)}'`);
  }

  /** Throws TemplateSyntaxError at the current line. */
  fail(message: string, line = this.current.line): never {
    return raise("TemplateSyntaxError", message, line);
  }
}

/** Whether a token is the one of that name. */
export function matches(token: Token, name: string): boolean {
  return name.startsWith("name:") ? token.type === "name" && token.value === name.slice(5) : token.type === name;
}

const words: Readonly<Record<string, string>> = {
  block_begin: "begin of statement block",
  block_end: "end of statement block",
  data: "template data / text",
  eof: "end of template",
  variable_begin: "begin of print statement",
  variable_end: "end of print statement",
};

/** A token as an error's text names it. */
export function describeToken(token: Token): string {
  return token.type === "name" ? token.value : describe(token.type);
}

function describe(type: string): string {
  return words[type] ?? type;
}
