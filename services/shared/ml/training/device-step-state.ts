import { found } from "../../base/found.js";
import { float32 } from "../graph/tensor.js";
import { type Weights, weightOf } from "../models/param-spec.js";
import { type AdamWFactors, adamwFactors, clipFactor, decays } from "../optim/adamw.js";
import { DeviceMemory } from "../runtime/device-memory.js";
import { type DeviceTensor, type Placed, Session, type SessionOptions } from "../runtime/session.js";
import { type OptimizerOptions, squaresGraph, updateGraph } from "./optimizer.js";
import type { OptimizerState } from "./optimizer-state.js";
import type { StepState } from "./step-state.js";

type Held = ReadonlyMap<string, DeviceTensor>;

/** The factors of an update, in the order in which they lie on the device. */
const factorNames = [
  "keepM",
  "addM",
  "keepV",
  "addV",
  "epsilon",
  "size",
  "decay",
] as const satisfies readonly (keyof AdamWFactors<number>)[];

const prefixed = (prefix: string, held: Held): Placed =>
  Object.fromEntries([...held].map(([name, tensor]) => [`${prefix}${name}`, tensor]));

/** A tensor's elements in one row, as updates take them. */
const row = (tensor: DeviceTensor): DeviceTensor => ({ ...tensor, dims: [tensor.dims.reduce((product, dim) => product * dim, 1)] });

/**
 * Weights, moments and gradients stay on the device from step to step: a batch goes up, figures come down, and of an update seven
 * numbers go up and a sum for each parameter comes down. Frozen weights that are no constants go up once.
 */
export class DeviceStepState implements StepState {
  readonly #state: OptimizerState;
  readonly #memory: DeviceMemory;
  readonly #options: SessionOptions;
  readonly #params: Held;
  readonly #m: Held;
  readonly #v: Held;
  readonly #gradients: Held;
  readonly #frozen: Held;
  /** Σg² of each parameter. */
  readonly #squares: DeviceTensor;
  readonly #factors: DeviceTensor;
  readonly #sessions = new Map<string, Session>();
  #isAhead = false;

  private constructor(state: OptimizerState, frozen: Weights, memory: DeviceMemory, options: SessionOptions) {
    const held = (weights: Weights): Held => new Map([...weights].map(([name, { dims }]) => [name, memory.allocate(dims)]));
    const { params, moments } = state;
    this.#state = state;
    this.#memory = memory;
    this.#options = options;
    [this.#params, this.#m, this.#v, this.#gradients] = [params, moments.m, moments.v, params].map(held) as [Held, Held, Held, Held];
    this.#frozen = held(frozen);
    this.#squares = memory.allocate([params.size]);
    this.#factors = memory.allocate([factorNames.length]);
  }

  /**
   * Takes a state to the device. Its arrays stay what they are until {@link fetch}.
   *
   * @throws FailedPrecondition where the runtime cannot keep tensors there; an Error with its message where there is no room
   */
  static async open(state: OptimizerState, frozen: Weights, options: SessionOptions): Promise<DeviceStepState> {
    const memory = await DeviceMemory.open(options);
    try {
      const placed = new DeviceStepState(state, frozen, memory, options);
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
    return { ...prefixed("", this.#frozen), ...prefixed("", this.#params) };
  }

  get gradientsOut(): Placed {
    return prefixed("next:g:", this.#gradients);
  }

  get gradientsIn(): Placed {
    return prefixed("g:", this.#gradients);
  }

  async clearGradients(): Promise<void> {
    for (const gradient of this.#gradients.values()) await this.#memory.clear(gradient);
  }

  async norm(): Promise<number> {
    const session = await this.#session("squares", squaresGraph);
    let place = 0;
    for (const gradient of this.#gradients.values())
      await session.run({ gradient: row(gradient) }, { sum: this.#memory.numberAt(this.#squares, place++) });
    const squares = new Float32Array(this.#gradients.size);
    await this.#memory.download(this.#squares, squares);
    return Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  }

  async update(norm: number, learningRate: number, options: OptimizerOptions): Promise<void> {
    const { specs, moments } = this.#state;
    const values = adamwFactors(moments.updates + 1, learningRate, options, clipFactor(norm, options.maxGradNorm));
    const inOrder = factorNames.map((name) => values[name]);
    await this.#memory.upload(float32(inOrder, [inOrder.length]), this.#factors);
    const factors = Object.fromEntries(factorNames.map((name, i) => [name, this.#memory.numberAt(this.#factors, i)]));
    this.#isAhead = true;
    for (const { name, kind } of specs) {
      const decayed = decays(kind) && options.weightDecay > 0;
      const session = await this.#session(decayed ? "decayed" : "plain", () => updateGraph(decayed));
      const of = (held: Held) => row(found(held.get(name), name));
      const [param, m, v] = [of(this.#params), of(this.#m), of(this.#v)];
      const into = { "next:param": param, "next:m": m, "next:v": v };
      await session.run({ param, m, v, gradient: of(this.#gradients), ...factors }, into);
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

  /** The arrays of the state, each with its tensors on the device. */
  #pairs(): (readonly [Weights, Held])[] {
    const { params, moments } = this.#state;
    return [
      [params, this.#params],
      [moments.m, this.#m],
      [moments.v, this.#v],
    ];
  }

  async #session(name: string, build: () => ReturnType<typeof squaresGraph>): Promise<Session> {
    const known = this.#sessions.get(name);
    if (known) return known;
    const session = await Session.create(build(), { ...this.#options, memoryArena: true });
    this.#sessions.set(name, session);
    return session;
  }
}
