import { TemplateFailure } from "./failure.js";
import { Undefined } from "./values.js";

/** Variables of a stretch of a template; those of the stretches around it are seen through it. */
export class Scope {
  readonly #values = new Map<string, unknown>();
  readonly #parent: Scope | undefined;

  constructor(parent?: Scope) {
    this.#parent = parent;
  }

  get(name: string): unknown {
    for (let scope: Scope | undefined = this; scope; scope = scope.#parent) if (scope.#values.has(name)) return scope.#values.get(name);
    return new Undefined(`'${name}' is undefined`);
  }

  set(name: string, value: unknown): void {
    this.#values.set(name, value);
  }
}

/** Longest text that a template may write, in characters, and most turns of its loops together. */
const longest = 64 * 1024 * 1024;
const mostTurns = 10_000_000;

/** What a template writes. A render that would not end fails here. */
export class Output {
  readonly #parts: string[] = [];
  readonly #budget: { turns: number; length: number };

  constructor(around?: Output) {
    this.#budget = around ? around.#budget : { turns: 0, length: 0 };
  }

  write(text: string): void {
    this.#parts.push(text);
    this.#budget.length += text.length;
    if (this.#budget.length > longest) throw new TemplateFailure(`it writes more than ${longest} characters`);
  }

  /** Counts a turn of a loop. */
  turn(): void {
    if (++this.#budget.turns > mostTurns) throw new TemplateFailure(`its loops take more than ${mostTurns} turns`);
  }

  get text(): string {
    return this.#parts.join("");
  }
}

/** An expression: a function of the variables. */
export type Expression = (scope: Scope) => unknown;

/** A statement writes; it says so when a loop is to be left or to go on with its next turn. */
export type Statement = (scope: Scope, out: Output) => "break" | "continue" | undefined;

/** Runs statements one after the other. */
export function runAll(body: readonly Statement[], scope: Scope, out: Output): "break" | "continue" | undefined {
  for (const statement of body) {
    const signal = statement(scope, out);
    if (signal) return signal;
  }
  return undefined;
}

/** What statements write, as text. */
export function textOf(body: readonly Statement[], scope: Scope, around: Output): string {
  const out = new Output(around);
  runAll(body, scope, out);
  return out.text;
}

/** An expression whose failures say the line. */
export function located(line: number, expression: Expression): Expression {
  return (scope) => {
    try {
      return expression(scope);
    } catch (error) {
      if (error instanceof TemplateFailure) error.line ??= line;
      throw error;
    }
  };
}
