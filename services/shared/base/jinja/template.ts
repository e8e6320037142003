import { RetortError } from "../errors.js";
import type { Names } from "./expressions.js";
import { TemplateFailure } from "./failure.js";
import { globals } from "./globals.js";
import { tokenize } from "./lexer.js";
import { Output, runAll, Scope, type Statement } from "./scope.js";
import { Statements } from "./statements.js";
import { TokenStream } from "./token-stream.js";
import { toPython } from "./values.js";

/**
 * A Jinja template, rendered as transformers renders chat templates: by Python's Jinja2 3.1 in its immutable sandbox, with
 * trim_blocks and lstrip_blocks, loop controls and `generation`. What is not written here (the filter `urlize`, say) is refused by name, never rendered otherwise.
 */
export class Template {
  /** Names that the template reads and gives no value to, in the order in which it reads them. */
  readonly names: readonly string[];
  readonly #body: readonly Statement[];

  /** @throws InvalidArgument with what is wrong, and the line */
  constructor(source: string) {
    const names: Names = { read: new Set(), bound: new Set() };
    this.#body = explained(() => new Statements(new TokenStream(tokenize(source)), names).all());
    this.names = [...names.read].filter((name) => !names.bound.has(name) && !globals.has(name));
  }

  /**
   * The text that the template makes of values. Whole numbers are ints, others floats, and a `SpelledNumber` what its text
   * says; null is None, what is not given is undefined; functions are called with their positional arguments.
   *
   * @throws InvalidArgument with the reason, and the line
   */
  render(values: Readonly<Record<string, unknown>>): string {
    return explained(() => {
      const scope = new Scope();
      for (const [name, callable] of globals) scope.set(name, callable);
      for (const [name, value] of Object.entries(values)) if (value !== undefined) scope.set(name, toPython(value));
      const out = new Output();
      runAll(this.#body, new Scope(scope), out);
      return out.text;
    });
  }
}

function explained<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TemplateFailure)
      throw new RetortError("InvalidArgument", `${error.message}${error.line === undefined ? "" : ` (line ${error.line})`}`, {
        cause: error,
      });
    if (error instanceof RangeError) throw new RetortError("InvalidArgument", "it is nested too deeply", { cause: error });
    throw error;
  }
}
