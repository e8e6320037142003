import { RetortError } from "../../base/errors.js";
import { type Constant, isHalf, isInFile } from "./file-tensor.js";
import { tensorOf } from "./round.js";
import type { DType, Tensor } from "./tensor.js";

/** One dimension: a fixed size, or the name of a size that is known only when the graph runs. */
export type Dim = number | string;
/** Element types of two bytes. */
export type HalfDtype = Extract<DType, "bfloat16" | "float16">;
/** The dimensions of a value; empty for a scalar. */
export type Shape = readonly Dim[];

/** What a node's attribute may be: an integer, a float, a text, integers, a tensor, or a graph (a body or branch). */
export type Attribute = number | { readonly float: number } | string | readonly number[] | Tensor | Graph;
/** A node's attributes, by their names in the ONNX specification. */
export type Attributes = { readonly [name: string]: Attribute };

/** One operator application. An absent optional input is `undefined`. */
export interface Node {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

/** A tensor-valued edge of a graph: what one node makes and others read. */
export class Value {
  readonly graph: Graph;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** The node that makes this value; undefined for graph inputs and initializers. */
  readonly producer: Node | undefined;

  constructor(graph: Graph, name: string, dtype: DType, shape: Shape, producer?: Node) {
    this.graph = graph;
    this.name = name;
    this.dtype = dtype;
    this.shape = shape;
    this.producer = producer;
  }

  get rank(): number {
    return this.shape.length;
  }
}

/** What one output of a node will be. */
export interface OutputType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/**
 * A graph under construction, in the order in which its nodes run.
 *
 * Operator functions (`add(a, b)`, …) append to the graph of their operands. A graph made with a `parent` is the body of
 * a control-flow operator: it may read every value of its ancestors by name. Names are unique over the whole family.
 */
export class Graph {
  readonly name: string;
  readonly parent: Graph | undefined;
  readonly nodes: Node[] = [];
  readonly inputs: Value[] = [];
  readonly outputs: { readonly name: string; readonly value: Value }[] = [];
  readonly initializers = new Map<string, { readonly value: Value; readonly tensor: Constant }>();
  readonly #names: { next: number; readonly taken: Set<string> };
  /** Shared with its bodies. */
  readonly #products: { dtype: HalfDtype | undefined };
  readonly #constants = new Map<string, Value>();
  readonly #once = new Map<string, Value>();

  constructor(name: string, parent?: Graph) {
    this.name = name;
    this.parent = parent;
    this.#names = parent ? parent.#names : { next: 0, taken: new Set() };
    this.#products = parent ? parent.#products : { dtype: undefined };
  }

  /** Declares an input that every run must feed. */
  input(name: string, dtype: DType, shape: Shape): Value {
    const value = new Value(this, this.#claim(name), dtype, shape);
    this.inputs.push(value);
    return value;
  }

  /** Declares `value` as an output under `name`. */
  output(name: string, value: Value): void {
    this.outputs.push({ name: this.#claim(name), value });
  }

  /**
   * A constant that is stored in the model under its own name (weights). One of half precision that lies in a file is read as
   * float32: encoding converts it where it is read.
   *
   * @param asStored it is read as it lies there
   */
  initializer(name: string, tensor: Constant, asStored = false): Value {
    const dtype = isInFile(tensor) && isHalf(tensor.dtype) && !asStored ? "float32" : tensor.dtype;
    const value = new Value(this, this.#claim(name), dtype, tensor.dims);
    this.initializers.set(value.name, { value, tensor });
    return value;
  }

  /** A small unnamed constant; equal constants share one initializer. */
  constant(tensor: Tensor): Value {
    const key = `${tensor.dtype}[${tensor.dims}]${tensor.data.join()}`;
    const known = this.#constants.get(key);
    if (known) return known;
    const value = this.initializer(this.fresh("const"), tensor);
    this.#constants.set(key, value);
    return value;
  }

  /** The constant of this name: stored at the first call, shared by later ones, those within loops of this graph included. */
  constantNamed(name: string, tensor: Tensor): Value {
    for (let graph: Graph | undefined = this; graph; graph = graph.parent) {
      const known = graph.initializers.get(name);
      if (known) return known.value;
    }
    return this.initializer(name, tensor);
  }

  /** A scalar constant. */
  scalar(x: number, dtype: "bfloat16" | "float16" | "float32" = "float32"): Value {
    return this.constant(tensorOf(dtype, Float32Array.of(x), []));
  }

  /** What `make` gives at the first call of this key, for later ones too: nothing is computed again that is asked for again. */
  once(key: string, make: () => Value): Value {
    const value = this.#once.get(key) ?? make();
    this.#once.set(key, value);
    return value;
  }

  /**
   * Lets matrix products of float32 that `make` adds, to this graph or its bodies, be computed in half precision: their operands are rounded to
   * it, and what they give is float32 again, so that all else is. Gradients go the same way back: in products of half precision.
   *
   * @param dtype undefined: they are computed in float32
   */
  withProductsIn<T>(dtype: HalfDtype | undefined, make: () => T): T {
    const before = this.#products.dtype;
    this.#products.dtype = dtype;
    try {
      return make();
    } finally {
      this.#products.dtype = before;
    }
  }

  /** What products of float32 are computed in that are added now; undefined: float32. */
  get productDtype(): HalfDtype | undefined {
    return this.#products.dtype;
  }

  /** A value that reads a constant in a file as it lies there, where that is of this element type; else undefined. */
  stored({ graph, name, shape }: Value, dtype: HalfDtype): Value | undefined {
    const constant = this.constantAt(name);
    return constant && isInFile(constant) && constant.dtype === dtype ? new Value(graph, name, dtype, shape) : undefined;
  }

  /** Appends a node and returns its outputs. */
  node(
    op: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly OutputType[],
    attributes: Attributes = {},
    domain = "",
  ): readonly Value[] {
    const made: Value[] = [];
    const node: Node = { op, domain, inputs, outputs: made, attributes };
    for (const { dtype, shape } of outputs) made.push(new Value(this, this.fresh(op), dtype, shape, node));
    this.nodes.push(node);
    return made;
  }

  /** The constant of this name in this graph or one around it; undefined for what is fed or computed. */
  constantAt(name: string): Constant | undefined {
    return this.initializers.get(name)?.tensor ?? this.parent?.constantAt(name);
  }

  /** True if `value` may be read from this graph: it belongs to this graph or to one of its ancestors. */
  sees(value: Value): boolean {
    return value.graph === this || (this.parent?.sees(value) ?? false);
  }

  /** A name that nothing in this family of graphs has yet. */
  fresh(stem: string): string {
    return `${stem}_${this.#names.next++}`;
  }

  #claim(name: string): string {
    if (this.#names.taken.has(name)) throw new RetortError("Internal", `graph ${this.name}: the name "${name}" is already taken`);
    this.#names.taken.add(name);
    return name;
  }
}

/** The innermost graph among the operands' graphs: where an operator over them must be placed. */
export function graphOf(...values: readonly (Value | undefined)[]): Graph {
  let innermost: Graph | undefined;
  for (const value of values) {
    if (value && (!innermost || (value.graph !== innermost && depth(value.graph) > depth(innermost)))) innermost = value.graph;
  }
  if (!innermost) throw new RetortError("Internal", "an operator needs at least one operand");
  for (const value of values) {
    if (value && !innermost.sees(value)) throw new RetortError("Internal", `"${value.name}" is not visible from graph ${innermost.name}`);
  }
  return innermost;
}

function depth(graph: Graph): number {
  return graph.parent ? 1 + depth(graph.parent) : 0;
}
