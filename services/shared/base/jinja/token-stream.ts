import { TemplateFailure } from "./failure.js";
import type { Token, TokenType } from "./lexer.js";

/** Tokens that are read one after the other. */
export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get current(): Token {
    return this.#tokens[this.#at]!;
  }

  /** The token behind the current one. */
  get following(): Token {
    return this.#tokens[this.#at + 1] ?? this.current;
  }

  next(): Token {
    const token = this.current;
    if (this.#at < this.#tokens.length - 1) this.#at++;
    return token;
  }

  is(type: TokenType, ...values: readonly string[]): boolean {
    const { current } = this;
    return current.type === type && (values.length === 0 || values.includes(current.value));
  }

  /** Takes the current token if it is such a one. */
  skip(type: TokenType, value: string): boolean {
    const found = this.is(type, value);
    if (found) this.next();
    return found;
  }

  expect(type: TokenType, value?: string): Token {
    if (this.is(type, ...(value === undefined ? [] : [value]))) return this.next();
    throw this.failure(
      `expected token '${value ?? type.replace("_", " of ")}', got '${this.current.value || this.current.type.replace("_", " of ")}'`,
    );
  }

  failure(message: string): TemplateFailure {
    return new TemplateFailure(message, this.current.line);
  }
}
