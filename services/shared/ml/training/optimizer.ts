// Dimensions: N elements of a piece or a row, K rows.
import { found } from "../../base/found.js";
import { Graph, type Shape, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, sizeOf } from "../graph/tensor.js";
import { type AdamWFactors, type AdamWOptions, type AdamWState, adamw, adamwFactors } from "../optim/adamw.js";
import { type Feeds, Session, type SessionOptions } from "../runtime/session.js";
import type { OptimizerState, Piece } from "./optimizer-state.js";

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

/** Elements of a piece or a row that each thread takes: the eight arrays of an update stay in its cache. */
const pieceElements = 1 << 16;

/** Elements whose squares are added up in float32. */
const summedElements = 1 << 12;

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

/** The same of K rows of N weights, [K, N], one row after the other: one call into the runtime for a whole weight. */
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

/**
 * The sums of squares of K rows of N numbers, [K, 1, N] -> [K, 1, 1]: threads take rows, and no sum is of very many numbers. As products of
 * rows, for which the runtime has a kernel: 44 ms for 135M numbers, and 101 by ReduceSumSquare.
 */
export function rowSquaresGraph(): Graph {
  const graph = new Graph("squares");
  const gradient_K1N = graph.input("gradient", "float32", ["K", 1, "N"]);
  graph.output("sums", op.fusedMatMul(gradient_K1N, gradient_K1N, { transB: true }));
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
    const session = await this.#session("squares", rowSquaresGraph, false);
    let sum = 0;
    for (const { gradient } of this.#state.pieces) {
      const whole = Math.floor(gradient.length / summedElements) * summedElements;
      for (const part of [gradient.subarray(0, whole), gradient.subarray(whole)]) {
        if (part.length === 0) continue;
        const width = Math.min(part.length, summedElements);
        const { sums } = await session.run({ gradient: float32(part, [part.length / width, 1, width]) });
        for (const square of found(sums, "sums of squares").data as Float32Array) sum += square;
      }
    }
    return Math.sqrt(sum);
  }

  /** One update by the gradients. */
  async update({ scale, learningRate }: UpdateSize, options: AdamWOptions): Promise<void> {
    const values = adamwFactors(this.#state.moments.updates + 1, learningRate, options, scale);
    const factors = Object.fromEntries(Object.entries(values).map(([name, x]) => [name, float32([x], [])]));
    for (const piece of this.#state.pieces) await this.#updateOne(piece, factors, piece.decayed && options.weightDecay > 0);
    this.#state.advance();
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }

  async #updateOne({ param, m, v, gradient }: Piece, factors: Feeds, decayed: boolean): Promise<void> {
    const update = async (from: Session, start: number, dims: readonly number[]) => {
      const part = (data: Float32Array) => float32(data.subarray(start, start + sizeOf(dims)), dims);
      const state = { param: part(param), m: part(m), v: part(v) };
      const into = Object.fromEntries(changed.map((key) => [`next:${key}`, state[key]]));
      await from.run({ ...state, gradient: part(gradient), ...factors }, into);
    };
    const row = pieceElements * this.#options.threads;
    const rows = Math.floor(param.length / row);
    const done = rows * row;
    if (rows > 0)
      await update(await this.#session(decayed ? "decayed rows" : "rows", () => updateRowsGraph(decayed), true), 0, [rows, row]);
    if (done === param.length) return;
    const plain = await this.#session(decayed ? "decayed" : "plain", () => updateGraph(decayed), true);
    await update(plain, done, [param.length - done]);
  }

  async #session(name: string, build: () => Graph, bound: boolean): Promise<Session> {
    const known = this.#sessions.get(name);
    if (known) return known;
    // Threads that were asleep between operators would be woken a dozen times for each row: 0.51 s instead of 0.28 s for 135M weights.
    const session = await Session.create(build(), { ...this.#options, spinning: true, memoryArena: true, bound });
    this.#sessions.set(name, session);
    return session;
  }
}
