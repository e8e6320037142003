import { RetortError } from "../errors.js";
import { withBudget } from "./budget.js";
import { globalNames, globalOf } from "./evaluation/globals.js";
import { Run, Scope } from "./evaluation/scope.js";
import { compileFrame } from "./evaluation/statements.js";
import type { Step } from "./evaluation/step.js";
import { TemplateFault } from "./fault.js";
import { filters, tests } from "./filters/table.js";
import { check } from "./syntax/check.js";
import { checkDepth, checkSource } from "./syntax/depth.js";
import { findHidden } from "./syntax/hidden.js";
import { freeNames } from "./syntax/names.js";
import { parseTemplateSource } from "./syntax/parser.js";
import { fromJs } from "./values/from-js.js";
import type { Value } from "./values/value.js";

/** What a rendering may be told beside its values. */
export interface RenderOptions {
  /** The time of `strftime_now`, unless the values bring a function of that name; default: now. */
  readonly now?: Date;
}

/**
 * A Jinja template, rendered as transformers renders chat templates with Python's Jinja2 3.1: an immutable sandbox with
 * trim_blocks, lstrip_blocks, `{% generation %}`, break and continue, its tojson, raise_exception and strftime_now.
 * What it lacks is refused by name.
 *
 * @example new Template("{{ [1.0, none] }}").render({}) // [1.0, None]
 */
export class Template {
  readonly #step: Step;
  readonly #names: readonly string[];

  /** @throws InvalidArgument with what the template's syntax lacks, and the line */
  constructor(source: string) {
    const { step, names } = located(() => {
      checkSource(source);
      const body = parseTemplateSource(source);
      checkDepth(body);
      check(body, { filters, tests });
      findHidden(body);
      return { step: compileFrame(body), names: freeNames(body).filter((name) => !globalNames.has(name)) };
    });
    this.#step = step;
    this.#names = names;
  }

  /** Names that the template may read from the values: those that nothing before certainly gives a value to. Globals are none. */
  get names(): readonly string[] {
    return this.#names;
  }

  /**
   * @param values by name: strings, booleans, null (None), arrays, plain objects, numbers (whole ones are int), bigints,
   *   SpelledNumbers, functions (called with their positional arguments); what is undefined is Jinja's Undefined
   * @throws InvalidArgument with the template's reason, and the line
   */
  render(values: Readonly<Record<string, unknown>>, { now = new Date() }: RenderOptions = {}): string {
    return located(() => {
      const known = new Map<string, Value | undefined>();
      const lookup = (name: string): Value | undefined => {
        if (!known.has(name))
          known.set(name, Object.hasOwn(values, name) && values[name] !== undefined ? fromJs(values[name], name) : globalOf(name, now));
        return known.get(name);
      };
      const run = new Run(lookup, now);
      withBudget(() => this.#step(new Scope(run, null)));
      return run.text;
    });
  }
}

/** Runs a part of the work; faults become InvalidArgument with Python's word for them and the line. */
function located<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof TemplateFault) {
      const line = error.line === undefined ? "" : ` (line ${error.line})`;
      throw new RetortError("InvalidArgument", `${error.kind}: ${error.message}${line}`, { cause: error });
    }
    // Not `instanceof`: errors of other realms (vm contexts) have their own class.
    if ((error as { name?: unknown }).name === "RangeError")
      throw new RetortError("InvalidArgument", "RecursionError: the template nests too deep or makes too long a text");
    throw error;
  }
}
