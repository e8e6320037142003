// Dimensions: N elements of a piece or a row, K rows.
import { Graph, type Shape, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, sizeOf } from "../graph/tensor.js";
import { type ParamSpec, weightOf } from "../models/param-spec.js";
import { type AdamWFactors, type AdamWOptions, type AdamWState, adamw, adamwFactors, decays } from "../optim/adamw.js";
import { scalarOf } from "../runtime/outputs.js";
import { type Feeds, Session, type SessionOptions } from "../runtime/session.js";
import type { OptimizerState } from "./optimizer-state.js";

/** What an optimiser step does beside AdamW. */
export interface OptimizerOptions extends AdamWOptions {
  /** Global norm that gradients are scaled down to; 0 leaves them. */
  readonly maxGradNorm: number;
}

/** How large an update is. */
export interface UpdateSize {
  readonly learningRate: number;
  /** What gradients are multiplied with before all else: to clip them, and to take a loss's scale off. */
  readonly scale: number;
}

/** Elements of a piece that each thread takes: the eight arrays of an update stay in its cache. */
const pieceElements = 1 << 16;

/** Elements of a row, which one thread updates by itself: the dozen arrays that are made of it stay in its core's cache. */
const rowElements = 1 << 15;

/**
 * Up to so many threads, one that goes row by row is faster than all of them: onnxruntime deals each operator out to them anew, so that what one has
 * written is read by another one from its cache. Of two threads, one by itself takes 0.36 s for 135M weights and both 0.65 s.
 */
const fewThreads = 2;

/** What an update changes. */
const changed = ["param", "m", "v"] as const;

/** The factors of an update as inputs. */
function declareFactors(graph: Graph): AdamWFactors<Value> {
  const scalar = (name: string) => graph.input(name, "float32", []);
  return {
    keepM: scalar("keepM"),
    addM: scalar("addM"),
    keepV: scalar("keepV"),
    addV: scalar("addV"),
    epsilon: scalar("epsilon"),
    size: scalar("size"),
    decay: scalar("decay"),
  };
}

/** Weights of a shape, their moments and their gradient as inputs. */
function declareState(graph: Graph, shape: Shape, prefix = ""): AdamWState & { readonly gradient: Value } {
  const array = (name: string) => graph.input(`${prefix}${name}`, "float32", shape);
  return { param: array("param"), m: array("m"), v: array("v"), gradient: array("gradient") };
}

/** One update of N weights: inputs param, m, v, gradient and the factors, outputs next:param, next:m and next:v. */
export function updateGraph(decayed: boolean): Graph {
  const graph = new Graph("adamw");
  const { gradient, ...state } = declareState(graph, ["N"]);
  const next = adamw(state, gradient, declareFactors(graph), decayed);
  for (const name of changed) graph.output(`next:${name}`, next[name]);
  return graph;
}

/** The same of K rows of N weights, [K, N], one row after the other. */
export function updateRowsGraph(decayed: boolean): Graph {
  const graph = new Graph("adamw");
  const { param, m, v, gradient } = declareState(graph, ["K", "N"]);
  const factors = declareFactors(graph);
  const row = new Graph("row", graph);
  const { gradient: ofRow, ...state } = declareState(row, ["N"], "row.");
  const next = adamw(state, ofRow, factors, decayed);
  for (const name of changed) row.output(`row.next:${name}`, next[name]);
  const results = op.scan(graph, row, [param, m, v, gradient]);
  for (const [i, name] of changed.entries()) graph.output(`next:${name}`, results[i]!);
  return graph;
}

/** The sum of a gradient's squares: input gradient [N], output sum []. */
export function squaresGraph(): Graph {
  const graph = new Graph("squares");
  graph.output("sum", op.reduceSumSquare(graph.input("gradient", "float32", ["N"])));
  return graph;
}

/**
 * AdamW over a state's gradients. Weights and moments are changed where they are, piece by piece: an update reads
 * and writes each element once, whatever the size of a weight, and needs no memory of its own.
 */
export class Optimizer {
  readonly #state: OptimizerState;
  readonly #options: SessionOptions;
  readonly #sessions = new Map<string, Session>();

  constructor(state: OptimizerState, options: SessionOptions) {
    this.#state = state;
    this.#options = options;
  }

  /** Global norm of the gradients: √Σ‖g‖². */
  async norm(): Promise<number> {
    const session = await this.#session("squares", squaresGraph, false);
    let sum = 0;
    for (const { data } of this.#state.gradients.values())
      for (const gradient of this.#pieces(data)) sum += scalarOf(await session.run({ gradient }), "sum");
    return Math.sqrt(sum);
  }

  /** One update by the gradients. */
  async update({ scale, learningRate }: UpdateSize, options: AdamWOptions): Promise<void> {
    const { specs, moments } = this.#state;
    const values = adamwFactors(moments.updates + 1, learningRate, options, scale);
    const factors = Object.fromEntries(Object.entries(values).map(([name, x]) => [name, float32([x], [])]));
    for (const spec of specs) await this.#updateOne(spec, factors, decays(spec.kind) && options.weightDecay > 0);
    this.#state.advance();
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }

  async #updateOne({ name }: ParamSpec, factors: Feeds, decayed: boolean): Promise<void> {
    const { params, moments, gradients } = this.#state;
    const [param, m, v, gradient] = [params, moments.m, moments.v, gradients].map((weights) => weightOf(weights, name).data) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const session = await this.#session(decayed ? "decayed" : "plain", () => updateGraph(decayed), true);
    const update = async (from: Session, start: number, dims: readonly number[]) => {
      const part = (data: Float32Array) => float32(data.subarray(start, start + sizeOf(dims)), dims);
      const state = { param: part(param), m: part(m), v: part(v) };
      const into = Object.fromEntries(changed.map((key) => [`next:${key}`, state[key]]));
      await from.run({ ...state, gradient: part(gradient), ...factors }, into);
    };
    let done = 0;
    const rows = Math.floor(param.length / rowElements);
    if (rows > 0 && this.#options.threads <= fewThreads) {
      const inRows = await this.#session(decayed ? "decayed rows" : "rows", () => updateRowsGraph(decayed), true, 1);
      await update(inRows, 0, [rows, rowElements]);
      done = rows * rowElements;
    }
    const most = pieceElements * this.#options.threads;
    for (; done < param.length; done += most) await update(session, done, [Math.min(most, param.length - done)]);
  }

  *#pieces(data: Float32Array) {
    const most = pieceElements * this.#options.threads;
    for (let start = 0; start < data.length; start += most) {
      const piece = data.subarray(start, start + most);
      yield float32(piece, [piece.length]);
    }
  }

  async #session(name: string, build: () => Graph, bound: boolean, threads = this.#options.threads): Promise<Session> {
    const known = this.#sessions.get(name);
    if (known) return known;
    const session = await Session.create(build(), { ...this.#options, threads, memoryArena: true, bound });
    this.#sessions.set(name, session);
    return session;
  }
}
