/** Longest expression, and deepest nesting, that is computed. */
const [mostCharacters, mostDepth] = [1000, 100];

/** Numbers, operators and brackets; anything else is no expression. */
const symbol = /\s*(?:(\d+(?:\.\d+)?|\.\d+)|([-+*/()]))/y;

/** What an expression comes to, or why it comes to nothing. */
export type Computed = { readonly value: number } | { readonly problem: string };

/** Computes an expression of decimal numbers with + - * / and brackets, with the usual precedence. Nothing is thrown. */
export function compute(expression: string): Computed {
  if (expression.length > mostCharacters) return { problem: `the expression has more than ${mostCharacters} characters` };
  const symbols = symbolsIn(expression);
  if (typeof symbols === "string") return { problem: symbols };
  const reader = new Reader(symbols);
  const value = reader.sum(0);
  if (reader.problem) return { problem: reader.problem };
  return Number.isFinite(value) ? { value } : { problem: "the result is not finite" };
}

/** A number as people write it: without an exponent where that can be, and without the rounding of binary fractions. */
export const spelled = (value: number): string => String(Number(value.toPrecision(12)));

function symbolsIn(text: string): string[] | string {
  const symbols: string[] = [];
  symbol.lastIndex = 0;
  for (let at = 0; at < text.trimEnd().length; at = symbol.lastIndex) {
    symbol.lastIndex = at;
    const [, number, sign] = symbol.exec(text) ?? [];
    if (number === undefined && sign === undefined) return `"${text.slice(at).trim().slice(0, 1)}" is no number, operator or bracket`;
    symbols.push(number ?? sign ?? "");
  }
  return symbols.length > 0 ? symbols : "the expression is empty";
}

/** Reads an expression from its symbols by recursive descent; the first problem ends it. */
class Reader {
  readonly #symbols: readonly string[];
  #at = 0;
  problem: string | undefined;

  constructor(symbols: readonly string[]) {
    this.#symbols = symbols;
  }

  sum(depth: number): number {
    let value = this.#product(depth);
    while (!this.problem && (this.#next === "+" || this.#next === "-")) {
      const sign = this.#take() === "+" ? 1 : -1;
      value += sign * this.#product(depth);
    }
    if (depth === 0 && this.#next !== undefined) this.problem ??= `"${this.#next}" is not expected there`;
    return value;
  }

  #product(depth: number): number {
    let value = this.#factor(depth);
    while (!this.problem && (this.#next === "*" || this.#next === "/")) {
      const isProduct = this.#take() === "*";
      const factor = this.#factor(depth);
      if (!isProduct && factor === 0) this.problem ??= "division by zero";
      value = isProduct ? value * factor : value / factor;
    }
    return value;
  }

  #factor(depth: number): number {
    if (depth > mostDepth) this.problem ??= `there are more than ${mostDepth} brackets within each other`;
    if (this.problem) return 0;
    const symbol = this.#take();
    if (symbol === "-") return -this.#factor(depth + 1);
    if (symbol === "(") {
      const value = this.sum(depth + 1);
      if (this.#take() !== ")") this.problem ??= "a bracket is not closed";
      return value;
    }
    const value = Number(symbol);
    if (symbol === undefined || Number.isNaN(value))
      this.problem ??= `${symbol === undefined ? "a number" : `"${symbol}"`} is missing or misplaced`;
    return value;
  }

  get #next(): string | undefined {
    return this.#symbols[this.#at];
  }

  #take(): string | undefined {
    return this.#symbols[this.#at++];
  }
}
