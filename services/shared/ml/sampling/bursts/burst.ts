// Dimensions: B rows, N steps of a burst.
import { float32, int32, int64 } from "../../graph/tensor.js";
import type { DeviceMemory } from "../../runtime/device-memory.js";
import type { BoundRun, DeviceTensor, Placed, Session } from "../../runtime/session.js";
import { nextName } from "./burst-graphs.js";

/** Steps that are taken before what they drew is looked at. */
export const burstSteps = 8;

/** What a burst is fed, step by step [N, B] one behind another. */
export interface BurstFeeds {
  /** [B]: what the rows read first. */
  readonly tokens: readonly number[];
  /** How many positions of a row are cached. */
  readonly lengths: Int32Array;
  readonly blockUniforms: Float32Array;
  readonly tokenUniforms: Float32Array;
}

/** What steps drew, [N, B] and [N, B, topIds]. */
export interface BurstDraws {
  readonly ids: BigInt64Array;
  readonly logprobs: Float32Array;
  readonly samplingLogprobs: Float32Array;
  readonly mostProbable: Int32Array;
}

/** What a burst is made for. */
export interface BurstSetup {
  readonly session: Session;
  /** What each step is fed alike. */
  readonly fixed: Placed;
  /** Keys and values by the names of a step's inputs; a step writes into them. */
  readonly caches: Readonly<Record<string, DeviceTensor>>;
  readonly rows: number;
  readonly topIds: number;
}

/**
 * Some steps whose every input and output has its place on the device: a step reads what the one before it drew, and nothing crosses
 * between them. Before the first, uniforms, lengths and the rows' tokens go up; behind the last, what was drawn comes down.
 */
export class Burst {
  readonly setup: BurstSetup;
  readonly #memory: DeviceMemory;
  readonly #steps: BoundRun[] = [];
  readonly #ids: DeviceTensor;
  readonly #lengths: DeviceTensor;
  readonly #uniforms: DeviceTensor;
  readonly #logprobs: DeviceTensor;
  readonly #top: DeviceTensor;

  constructor(memory: DeviceMemory, setup: BurstSetup) {
    const { rows, topIds } = setup;
    this.setup = setup;
    this.#memory = memory;
    this.#ids = memory.allocate([burstSteps + 1, rows], "int64");
    this.#lengths = memory.allocate([burstSteps, rows], "int32");
    this.#uniforms = memory.allocate([2, burstSteps, rows]);
    this.#logprobs = memory.allocate([2, burstSteps, rows]);
    this.#top = memory.allocate([burstSteps, rows, topIds], "int32");
    for (let step = 0; step < burstSteps; step++) this.#steps.push(this.#bind(step));
  }

  /** Takes the first `steps` steps. */
  async run(steps: number, { tokens, lengths, blockUniforms, tokenUniforms }: BurstFeeds): Promise<BurstDraws> {
    const { rows, topIds } = this.setup;
    const count = steps * rows;
    const uniforms = new Float32Array(2 * burstSteps * rows);
    uniforms.set(blockUniforms);
    uniforms.set(tokenUniforms, burstSteps * rows);
    await this.#memory.upload(int64(tokens), this.#memory.part(this.#ids, 0, [rows]));
    await this.#memory.upload(int32(lengths, [count]), this.#memory.part(this.#lengths, 0, [count]));
    await this.#memory.upload(float32(uniforms, [uniforms.length]), this.#uniforms);
    for (const step of this.#steps.slice(0, steps)) await step.run();
    const draws = { ids: new BigInt64Array(count), mostProbable: new Int32Array(count * topIds) };
    const logprobs = new Float32Array(uniforms.length);
    await this.#memory.download(this.#memory.part(this.#ids, rows, [count]), draws.ids);
    await this.#memory.download(this.#logprobs, logprobs);
    await this.#memory.download(this.#memory.part(this.#top, 0, [count * topIds]), draws.mostProbable);
    const of = (start: number) => logprobs.subarray(start, start + count);
    return { ...draws, logprobs: of(0), samplingLogprobs: of(burstSteps * rows) };
  }

  release(): void {
    for (const step of this.#steps) step.release();
    for (const tensor of [this.#ids, this.#lengths, this.#uniforms, this.#logprobs, this.#top]) this.#memory.free(tensor);
  }

  #bind(step: number): BoundRun {
    const { session, fixed, caches, rows, topIds } = this.setup;
    const of = (tensor: DeviceTensor, at: number, ...last: number[]) => this.#memory.part(tensor, at * rows, [rows, ...last]);
    const inputs = {
      ...fixed,
      ...caches,
      tokens: of(this.#ids, step, 1),
      last: of(this.#lengths, step),
      blockUniforms: of(this.#uniforms, step, 1),
      tokenUniforms: of(this.#uniforms, burstSteps + step, 1),
    };
    const drawn = {
      ids: of(this.#ids, step + 1, 1),
      logprobs: of(this.#logprobs, step, 1),
      samplingLogprobs: of(this.#logprobs, burstSteps + step, 1),
      ...(topIds > 0 ? { mostProbable: this.#memory.part(this.#top, step * rows * topIds, [rows, topIds]) } : {}),
    };
    return session.bind(only(session.inputNames, inputs), { ...drawn, ...nextOf(caches) });
  }
}

/** The caches again, by the names of a step's outputs. */
const nextOf = (caches: Readonly<Record<string, DeviceTensor>>): Placed =>
  Object.fromEntries(Object.entries(caches).map(([name, cache]) => [nextName(name), cache]));

/** Those of some tensors that a graph reads. */
export function only<T>(names: readonly string[], tensors: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(names.flatMap((name) => (tensors[name] === undefined ? [] : [[name, tensors[name]]])));
}
