import { found } from "../../base/found.js";
import type { Graph } from "../graph/graph.js";
import { float32 } from "../graph/tensor.js";
import { type Weights, weightOf } from "../models/param-spec.js";
import { type AdamWFactors, adamwFactors } from "../optim/adamw.js";
import { DeviceMemory } from "../runtime/device-memory.js";
import { type DeviceTensor, type Placed, Session, type SessionOptions } from "../runtime/session.js";
import { flatLayout, type Range } from "./flat-layout.js";
import { type OptimizerOptions, squaresGraph, updateGraph } from "./optimizer.js";
import type { OptimizerState } from "./optimizer-state.js";
import type { StepState } from "./step-state.js";

type Held = ReadonlyMap<string, DeviceTensor>;

/** The factors of an update, in the order in which they lie on the device. */
const factorNames: readonly (keyof AdamWFactors<number>)[] = ["keepM", "addM", "keepV", "addV", "epsilon", "size", "decay"];

/** What there is of each parameter, one array of all of them for each. */
const kinds = ["param", "m", "v", "gradient"] as const;
type Kind = (typeof kinds)[number];

const prefixed = (prefix: string, held: Held): Placed =>
  Object.fromEntries([...held].map(([name, tensor]) => [`${prefix}${name}`, tensor]));

/**
 * Weights, moments and gradients stay on the device from step to step: a batch goes up, figures come down, and of an update seven
 * numbers go up. Each kind is one array, so that an update is a run or two, whatever the number of parameters. Frozen weights that
 * are no constants go up once.
 */
export class DeviceStepState implements StepState {
  readonly #state: OptimizerState;
  readonly #memory: DeviceMemory;
  readonly #options: SessionOptions;
  readonly #ranges: readonly Range[];
  readonly #arrays: Readonly<Record<Kind, DeviceTensor>>;
  /** Parts of the arrays. */
  readonly #held: Readonly<Record<Kind, Held>>;
  readonly #frozen: Held;
  /** Σg² of each range. */
  readonly #squares: DeviceTensor;
  readonly #factors: DeviceTensor;
  readonly #sessions = new Map<string, Session>();
  #isAhead = false;

  private constructor(state: OptimizerState, frozen: Weights, memory: DeviceMemory, options: SessionOptions) {
    const { starts, length, ranges } = flatLayout(state.specs);
    const ofEach = <T>(make: (kind: Kind) => T) => Object.fromEntries(kinds.map((kind) => [kind, make(kind)])) as Record<Kind, T>;
    this.#state = state;
    this.#memory = memory;
    this.#options = options;
    this.#ranges = ranges;
    this.#arrays = ofEach(() => memory.allocate([length]));
    this.#held = ofEach((kind) => {
      const part = (name: string, dims: readonly number[]) => memory.part(this.#arrays[kind], found(starts.get(name), name), dims);
      return new Map(state.specs.map(({ name, dims }) => [name, part(name, dims)]));
    });
    this.#frozen = new Map([...frozen].map(([name, { dims }]) => [name, memory.allocate(dims)]));
    this.#squares = memory.allocate([ranges.length]);
    this.#factors = memory.allocate([factorNames.length]);
  }

  /**
   * Takes a state to the device. Its arrays stay what they are until {@link fetch}.
   *
   * @throws FailedPrecondition where the runtime cannot keep tensors there, or there is no room for them
   */
  static async open(state: OptimizerState, frozen: Weights, options: SessionOptions): Promise<DeviceStepState> {
    const memory = await DeviceMemory.open(options);
    try {
      const placed = new DeviceStepState(state, frozen, memory, options);
      // What lies between two tensors must count for nothing.
      for (const kind of kinds) for (const range of placed.#ranges) await memory.clear(placed.#part(kind, range));
      for (const [weights, held] of [...placed.#pairs(), [frozen, placed.#frozen] as const])
        for (const [name, tensor] of held) await memory.upload(weightOf(weights, name), tensor);
      return placed;
    } catch (error) {
      await memory.release();
      throw error;
    }
  }

  get isAhead(): boolean {
    return this.#isAhead;
  }

  get feeds(): Placed {
    return { ...prefixed("", this.#frozen), ...prefixed("", this.#held.param) };
  }

  get gradientsOut(): Placed {
    return prefixed("next:g:", this.#held.gradient);
  }

  get gradientsIn(): Placed {
    return prefixed("g:", this.#held.gradient);
  }

  async clearGradients(): Promise<void> {
    for (const range of this.#ranges) await this.#memory.clear(this.#part("gradient", range));
  }

  async norm(): Promise<number> {
    const session = await this.#session("squares", squaresGraph);
    for (const [i, range] of this.#ranges.entries())
      await session.run({ gradient: this.#part("gradient", range) }, { sum: this.#memory.part(this.#squares, i, []) });
    const squares = new Float32Array(this.#ranges.length);
    await this.#memory.download(this.#squares, squares);
    return Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  }

  async update(scale: number, learningRate: number, options: OptimizerOptions): Promise<void> {
    const values = adamwFactors(this.#state.moments.updates + 1, learningRate, options, scale);
    const inOrder = factorNames.map((name) => values[name]);
    await this.#memory.upload(float32(inOrder, [inOrder.length]), this.#factors);
    const factors = Object.fromEntries(factorNames.map((name, i) => [name, this.#memory.part(this.#factors, i, [])]));
    this.#isAhead = true;
    for (const range of this.#ranges) {
      const decayed = range.decayed && options.weightDecay > 0;
      const session = await this.#session(decayed ? "decayed" : "plain", () => updateGraph(decayed));
      const [param, m, v, gradient] = kinds.map((kind) => this.#part(kind, range)) as [
        DeviceTensor,
        DeviceTensor,
        DeviceTensor,
        DeviceTensor,
      ];
      await session.run({ param, m, v, gradient, ...factors }, { "next:param": param, "next:m": m, "next:v": v });
    }
    this.#state.advance();
  }

  async fetch(): Promise<void> {
    if (!this.#isAhead) return;
    for (const [weights, held] of this.#pairs())
      for (const [name, tensor] of held) await this.#memory.download(tensor, weightOf(weights, name).data);
    this.#isAhead = false;
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
    await this.#memory.release();
  }

  #part(kind: Kind, { start, length }: Range): DeviceTensor {
    return this.#memory.part(this.#arrays[kind], start, [length]);
  }

  /** The arrays of the state, each with its tensors on the device. */
  #pairs(): (readonly [Weights, Held])[] {
    const { params, moments } = this.#state;
    return [
      [params, this.#held.param],
      [moments.m, this.#held.m],
      [moments.v, this.#held.v],
    ];
  }

  async #session(name: string, build: () => Graph): Promise<Session> {
    const known = this.#sessions.get(name);
    if (known) return known;
    const session = await Session.create(build(), { ...this.#options, memoryArena: true });
    this.#sessions.set(name, session);
    return session;
  }
}
