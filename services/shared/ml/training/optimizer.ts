// Dimensions: N elements of a piece.
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32 } from "../graph/tensor.js";
import { type ParamSpec, weightOf } from "../models/param-spec.js";
import { type AdamWOptions, adamw, adamwFactors, decays } from "../optim/adamw.js";
import { scalarOf } from "../runtime/outputs.js";
import { type Feeds, Session, type SessionOptions } from "../runtime/session.js";
import type { OptimizerState } from "./optimizer-state.js";

/** What an optimiser step does beside AdamW. */
export interface OptimizerOptions extends AdamWOptions {
  /** Global norm that gradients are scaled down to; 0 leaves them. */
  readonly maxGradNorm: number;
}

/** Elements of a piece that each thread takes: the eight arrays of an update stay in its cache. */
const pieceElements = 1 << 16;

/** One update of N weights: inputs param, m, v, gradient and the factors, outputs next:param, next:m and next:v. */
export function updateGraph(decayed: boolean): Graph {
  const graph = new Graph("adamw");
  const vector = (name: string) => graph.input(name, "float32", ["N"]);
  const scalar = (name: string) => graph.input(name, "float32", []);
  const state = { param: vector("param"), m: vector("m"), v: vector("v") };
  const factors = {
    keepM: scalar("keepM"),
    addM: scalar("addM"),
    keepV: scalar("keepV"),
    addV: scalar("addV"),
    epsilon: scalar("epsilon"),
    size: scalar("size"),
    decay: scalar("decay"),
  };
  const next = adamw(state, vector("gradient"), factors, decayed);
  graph.output("next:param", next.param);
  graph.output("next:m", next.m);
  graph.output("next:v", next.v);
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

  /** One update by the gradients. @param scale what they are multiplied with */
  async update(scale: number, learningRate: number, options: AdamWOptions): Promise<void> {
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
    const session = await this.#session(decayed ? "decayed" : "plain", () => updateGraph(decayed), true);
    const [p, m, v, g] = [params, moments.m, moments.v, gradients].map((weights) => this.#pieces(weightOf(weights, name).data));
    for (const param of p!) {
      const state = { param, m: m!.next().value!, v: v!.next().value! };
      const into = Object.fromEntries(Object.entries(state).map(([key, tensor]) => [`next:${key}`, tensor]));
      await session.run({ ...state, gradient: g!.next().value!, ...factors }, into);
    }
  }

  *#pieces(data: Float32Array) {
    const most = pieceElements * this.#options.threads;
    for (let start = 0; start < data.length; start += most) {
      const piece = data.subarray(start, start + most);
      yield float32(piece, [piece.length]);
    }
  }

  async #session(name: string, build: () => Graph, bound: boolean): Promise<Session> {
    const known = this.#sessions.get(name);
    if (known) return known;
    const session = await Session.create(build(), { ...this.#options, memoryArena: true, bound });
    this.#sessions.set(name, session);
    return session;
  }
}
