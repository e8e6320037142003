// Dimensions: B rows, N steps of a burst.
import { type DType, dtypeInfo } from "../../graph/tensor.js";
import type { DeviceMemory } from "../../runtime/device-memory.js";
import type { BoundRun, DeviceTensor, Placed, Session } from "../../runtime/session.js";
import { nextName } from "./burst-graphs.js";

/** Steps that are taken before what they drew is looked at. */
export const burstSteps = 16;

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

/** Arrays one behind another in bytes: where each begins, and how many they are. */
function laidOut<K extends string>(
  sizes: Readonly<Record<K, number>>,
): { readonly at: Readonly<Record<K, number>>; readonly bytes: number } {
  let bytes = 0;
  const at = {} as Record<K, number>;
  for (const [name, size] of Object.entries(sizes) as [K, number][]) {
    at[name] = bytes;
    bytes += size;
  }
  return { at, bytes };
}

/**
 * Some steps whose every input and output has its place on the device: a step reads what the one before it drew, and nothing crosses
 * between them. Before the first, tokens, lengths and uniforms go up in one piece; behind the last, what was drawn comes down in one.
 */
export class Burst {
  readonly setup: BurstSetup;
  readonly #memory: DeviceMemory;
  readonly #steps: BoundRun[] = [];
  readonly #up: DeviceTensor;
  readonly #down: DeviceTensor;

  constructor(memory: DeviceMemory, setup: BurstSetup) {
    this.setup = setup;
    this.#memory = memory;
    this.#up = memory.allocate([this.#fed.bytes], "uint8");
    this.#down = memory.allocate([this.#drawn.bytes], "uint8");
    for (let step = 0; step < burstSteps; step++) this.#steps.push(this.#bind(step));
  }

  /** What goes up: int64 first, so that each array is aligned. */
  get #fed() {
    const { rows } = this.setup;
    const each = 4 * burstSteps * rows;
    return laidOut({ tokens: 8 * rows, lengths: each, blockUniforms: each, tokenUniforms: each });
  }

  /** What comes down. */
  get #drawn() {
    const { rows, topIds } = this.setup;
    const each = 4 * burstSteps * rows;
    return laidOut({ ids: 2 * each, logprobs: each, samplingLogprobs: each, mostProbable: each * topIds });
  }

  /** Takes the first `steps` steps. */
  async run(steps: number, { tokens, lengths, blockUniforms, tokenUniforms }: BurstFeeds): Promise<BurstDraws> {
    const { rows, topIds } = this.setup;
    const [fed, drawn, count] = [this.#fed, this.#drawn, steps * rows];
    const up = new ArrayBuffer(fed.bytes);
    new BigInt64Array(up, fed.at.tokens, rows).set(tokens.map(BigInt));
    new Int32Array(up, fed.at.lengths, count).set(lengths);
    new Float32Array(up, fed.at.blockUniforms, count).set(blockUniforms);
    new Float32Array(up, fed.at.tokenUniforms, count).set(tokenUniforms);
    await this.#memory.upload({ dtype: "uint8", data: new Uint8Array(up), dims: [fed.bytes] }, this.#up);
    for (const [i, step] of this.#steps.slice(0, steps).entries()) await step.run(i === steps - 1);
    const down = new ArrayBuffer(drawn.bytes);
    await this.#memory.download(this.#down, new Uint8Array(down));
    return {
      ids: new BigInt64Array(down, drawn.at.ids, count),
      logprobs: new Float32Array(down, drawn.at.logprobs, count),
      samplingLogprobs: new Float32Array(down, drawn.at.samplingLogprobs, count),
      mostProbable: new Int32Array(down, drawn.at.mostProbable, count * topIds),
    };
  }

  release(): void {
    for (const step of this.#steps) step.release();
    for (const tensor of [this.#up, this.#down]) this.#memory.free(tensor);
  }

  #bind(step: number): BoundRun {
    const { session, fixed, caches, rows, topIds } = this.setup;
    const [fed, drawn, memory] = [this.#fed.at, this.#drawn.at, this.#memory];
    const given = (start: number, dtype: DType, ...last: number[]) =>
      memory.view(this.#up, start + step * rows * dtypeInfo[dtype].bytes, dtype, [rows, ...last]);
    const made = (start: number, dtype: DType, at: number, last: number) =>
      memory.view(this.#down, start + at * rows * last * dtypeInfo[dtype].bytes, dtype, [rows, last]);
    const inputs = {
      ...fixed,
      ...caches,
      tokens: step === 0 ? given(fed.tokens, "int64", 1) : made(drawn.ids, "int64", step - 1, 1),
      last: given(fed.lengths, "int32"),
      blockUniforms: given(fed.blockUniforms, "float32", 1),
      tokenUniforms: given(fed.tokenUniforms, "float32", 1),
    };
    const outputs = {
      ids: made(drawn.ids, "int64", step, 1),
      logprobs: made(drawn.logprobs, "float32", step, 1),
      samplingLogprobs: made(drawn.samplingLogprobs, "float32", step, 1),
      ...(topIds > 0 ? { mostProbable: made(drawn.mostProbable, "int32", step, topIds) } : {}),
    };
    return session.bind(only(session.inputNames, inputs), { ...outputs, ...nextOf(caches) });
  }
}

/** The caches again, by the names of a step's outputs. */
const nextOf = (caches: Readonly<Record<string, DeviceTensor>>): Placed =>
  Object.fromEntries(Object.entries(caches).map(([name, cache]) => [nextName(name), cache]));

/** Those of some tensors that a graph reads. */
export function only<T>(names: readonly string[], tensors: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(names.flatMap((name) => (tensors[name] === undefined ? [] : [[name, tensors[name]]])));
}
