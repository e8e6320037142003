import type { Branch, Expression, Statement, Target } from "./ast.js";
import { partsOf } from "./names.js";

type Body = readonly Statement[];

/**
 * Names that Jinja2's compiler hides from the values: what a body certainly sets, and reads nowhere itself before that, is
 * undefined until then, also for loops and macros within it that stand before the `set`.
 */
const hidden = new WeakMap<Body, readonly string[]>();

/** The names that are undefined when a body begins, although a value may have that name. */
export function hiddenNames(body: Body): readonly string[] {
  return hidden.get(body) ?? [];
}

/** Finds the hidden names of a template's body and of every body within it. */
export function findHidden(body: Body): void {
  new Frame(null, []).analyse(body);
}

/** What one body knows of its names, as Jinja2's symbol tables do. */
class Frame {
  readonly #outer: Frame | null;
  /** The body's own names, and whether each is hidden. */
  #known: Map<string, boolean>;

  constructor(outer: Frame | null, parameters: readonly string[]) {
    this.#outer = outer;
    this.#known = new Map(parameters.map((name) => [name, false]));
  }

  /** The names of a body first, then the bodies within it, which see all of them. */
  analyse(body: Body): void {
    this.#visit(body);
    const names = [...this.#known].flatMap(([name, isHidden]) => (isHidden ? [name] : []));
    if (names.length > 0) hidden.set(body, names);
    this.#within(body);
  }

  /** Whether this body or one around it has the name. */
  knows(name: string): boolean {
    return this.#known.has(name) || (this.#outer?.knows(name) ?? false);
  }

  #load(node: Expression | null): void {
    if (node === null) return;
    if (node.type === "Name" && !this.knows(node.name)) this.#known.set(node.name, false);
    for (const part of partsOf(node)) this.#load(part);
  }

  #store(target: Target): void {
    if (target.type === "Tuple") for (const item of target.items) this.#store(item);
    else if (target.type === "Name") this.#storeName(target.name);
    else if (!this.knows(target.namespace)) this.#known.set(target.namespace, false);
  }

  #storeName(name: string): void {
    if (this.#known.has(name)) return;
    this.#known.set(name, !this.#outer?.knows(name));
  }

  #visit(body: Body): void {
    for (const node of body) {
      if (node.type === "Print") this.#load(node.value);
      else if (node.type === "If") this.#visitIf(node.branches, node.otherwise);
      else if (node.type === "Macro") this.#storeName(node.name);
      else if (node.type === "Set") {
        this.#load(node.value);
        this.#store(node.target);
      } else if (node.type === "SetBlock") this.#store(node.target);
      else if (node.type === "For") this.#load(node.of);
      else if (node.type === "CallBlock") this.#load(node.call);
      else if (node.type === "FilterBlock") this.#load(node.filter);
      else if (node.type === "With") for (const value of node.values) this.#load(value);
      else if (node.type === "Refused") for (const part of node.parts) this.#load(part);
    }
  }

  /** What only some ways through a template set is not hidden. */
  #visitIf(branches: readonly Branch[], otherwise: Body): void {
    const before = this.#known;
    const known = new Map(before);
    const branch = (body: Body, test: Expression | null) => {
      this.#known = new Map(before);
      this.#load(test);
      this.#visit(body);
      for (const [name, isHidden] of this.#known) known.set(name, isHidden && before.has(name));
    };
    for (const { test, body } of branches) branch(body, test);
    branch(otherwise, null);
    this.#known = known;
  }

  #within(body: Body): void {
    const inner = (part: Body, parameters: readonly string[] = [], outer: Frame | null = this) =>
      new Frame(outer, parameters).analyse(part);
    for (const node of body) {
      if (node.type === "If") {
        for (const branch of node.branches) this.#within(branch.body);
        this.#within(node.otherwise);
      } else if (node.type === "For") {
        inner(node.body, [...targetNames(node.target), "loop"]);
        inner(node.otherwise);
      } else if (node.type === "Macro") inner(node.body, macroNames(node));
      else if (node.type === "CallBlock") inner(node.macro.body, macroNames(node.macro));
      else if (node.type === "With") inner(node.body, node.targets.flatMap(targetNames));
      else if (node.type === "Block") inner(node.body, [], node.scoped ? this : null);
      else if (node.type === "FilterBlock" || node.type === "SetBlock" || node.type === "Autoescape" || node.type === "Generation")
        inner(node.body);
    }
  }
}

function macroNames({ parameters }: Extract<Statement, { type: "Macro" }>): readonly string[] {
  return [...parameters.map(({ name }) => name), "caller", "kwargs", "varargs"];
}

function targetNames(target: Target): readonly string[] {
  if (target.type === "Tuple") return target.items.flatMap(targetNames);
  return target.type === "Name" ? [target.name] : [];
}
