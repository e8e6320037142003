// Dimensions: B rows, P distinct prompts, T tokens of the longest, k steps that were taken.
import { found } from "../../../base/found.js";
import { float32, int32, int64, type Tensor } from "../../graph/tensor.js";
import type { ModelConfig } from "../../models/config/model-config.js";
import type { Constants } from "../../models/constants.js";
import { withRoom } from "../../models/forward/rotary.js";
import type { Adapter, Lora } from "../../models/lora.js";
import { parameterCount } from "../../models/model-params.js";
import type { Weights } from "../../models/param-spec.js";
import { DeviceMemory } from "../../runtime/device-memory.js";
import type { Outputs } from "../../runtime/outputs.js";
import { ResidentFeeds } from "../../runtime/resident-feeds.js";
import { type DeviceTensor, type Placed, recordsBursts, Session } from "../../runtime/session.js";
import { Sessions } from "../../runtime/sessions.js";
import type { CacheDtype } from "../cache-dtype.js";
import type { DecoderOptions } from "../decoder.js";
import { DeviceCaches } from "../device-caches.js";
import { drawFeeds, drawKindOf } from "../draw.js";
import type { Row } from "../row.js";
import { cachedLength } from "../row-cache.js";
import type { RunLength } from "../run-feeds.js";
import { Burst, type BurstDraws, burstSteps, only } from "./burst.js";
import { type BurstGraphOptions, readGraph, stepGraph } from "./burst-graphs.js";
import { burstWeights } from "./burst-weights.js";

/** Tokens that are read at once, padding included. */
const mostRead = 2 ** 14;

/** Positions that caches get beyond what is cached, where rows may write as many. */
const mostSpare = 256;

/** A cache has a multiple of so many positions. */
const positionStep = 64;

/** Rows that a cache has for as many: few numbers, so that what is bound to it seldom changes. */
function widthOf(rows: number): number {
  const below = 2 ** Math.floor(Math.log2(rows));
  return rows === below ? below : rows <= 1.5 * below ? Math.ceil(1.5 * below) : 2 * below;
}

type Graphs = "read" | "step";
const graphs = { read: readGraph, step: stepGraph } as const;

/**
 * A model that writes in bursts, of weights and caches that stay on the device: of the runtime native. Prompts are read together;
 * then every step is a run whose inputs and outputs have their places, and keys and values are written where they lie.
 */
export class BurstDecoder {
  readonly config: ModelConfig;
  readonly parameters: number;
  readonly #options: DecoderOptions;
  readonly #isRecorded: boolean;
  readonly #lora: Lora | undefined;
  readonly #dtype: CacheDtype;
  readonly #sessions: Sessions;
  readonly #caches: DeviceCaches;
  #weights: Constants;
  #factors: Constants;
  /** Inputs of graphs that are weights, on the device. */
  #resident: ResidentFeeds | undefined;
  readonly #held = new Set<string>();
  #memory: DeviceMemory | undefined;
  /** By what they are made for, in the arrays that lie at an address. */
  readonly #bursts = new Map<string, Burst>();
  #boundAt: bigint | undefined;

  constructor(config: ModelConfig, weights: Constants, options: DecoderOptions, adapter?: Pick<Adapter, "lora" | "factors">) {
    this.config = config;
    this.parameters = parameterCount(config);
    const { recorded = recordsBursts(), ...plain } = options;
    this.#options = plain;
    this.#isRecorded = recorded;
    this.#lora = adapter?.lora;
    this.#weights = weights;
    this.#factors = adapter?.factors ?? new Map();
    this.#dtype = options.bursts ?? "float16";
    this.#caches = new DeviceCaches(config, plain, { dtype: this.#dtype, stays: true });
    // The two of two ways of drawing: those that are evaluated are drawn otherwise than those that are trained on.
    this.#sessions = new Sessions(config.maxPositions, 4, (session) => this.#unbind(({ setup }) => setup.session === session));
  }

  /** Uses other factors of the same adapter from the next run on. */
  async setFactors(factors: Weights): Promise<void> {
    this.#factors = factors;
    await this.#renew(new Set(factors.keys()));
  }

  /** Uses other weights of the same config from the next run on: they go where the ones before them lie. */
  async setWeights(weights: Constants): Promise<void> {
    this.#weights = weights;
    await this.#renew(this.#held);
  }

  /** The rows that read together before others go on: those that have read nothing, the longest first. */
  groups(rows: readonly Row[]): Row[][] {
    const fresh = rows.filter(({ cached }) => !cached).sort((a, b) => b.unread.length - a.unread.length);
    const groups: Row[][] = [];
    let longest = 0;
    for (const row of fresh) {
      const last = groups.at(-1);
      if (last && (last.length + 1) * longest <= mostRead) last.push(row);
      else {
        groups.push([row]);
        longest = row.unread.length;
      }
    }
    return groups;
  }

  /**
   * Lets rows with the same settings read their prompts and draw a token, or go on: as far as is asked, by whole bursts.
   *
   * @param live all rows that go on, in their places
   */
  async run(rows: readonly Row[], length: RunLength, live: readonly Row[]): Promise<Outputs> {
    return rows.every(({ cached }) => !cached) ? this.#read(rows, live) : this.#write(rows, length, live);
  }

  /** What rows have read has its place: a run takes nothing besides. */
  mostSteps(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** Rows aren't kept: what they have read is on the device, in its place among the others. */
  copyOf(_: Row): undefined {
    return undefined;
  }

  /** Lets go of what rows have read, when none goes on. */
  rest(): void {
    this.#caches.rest();
  }

  async release(): Promise<void> {
    this.#unbind(() => true);
    await this.#caches.release();
    await this.#sessions.release();
    await this.#resident?.release();
    await this.#memory?.release();
    [this.#resident, this.#memory] = [undefined, undefined];
    this.#held.clear();
  }

  async #read(rows: readonly Row[], live: readonly Row[]): Promise<Outputs> {
    await this.#caches.join(rows, live, { rows: widthOf(live.length), least: 0, wanted: 0 });
    const session = await this.#session("read", rows);
    const prompts = new Map(rows.map(({ promptKey, unread }) => [promptKey, unread]));
    const places = new Map([...prompts.keys()].map((key, place) => [key, place]));
    const placeOf = ({ promptKey }: Row) => found(places.get(promptKey), "the prompt's place");
    const longest = Math.max(...rows.map(({ unread }) => unread.length));
    const tokens = [...prompts.values()].flatMap((ids) => [...ids, ...new Array<number>(longest - ids.length).fill(0)]);
    const feeds = {
      ...this.#drawFeeds(rows),
      ...(await this.#placedWeights(session)),
      tokens: int64(tokens, [prompts.size, longest]),
      last: int32(
        [...prompts.values()].map((ids) => ids.length - 1),
        [prompts.size],
      ),
      total: int32([longest], []),
      lastOf: int64(rows.map((row) => placeOf(row) * longest + row.unread.length - 1)),
      ...uniformFeeds(rows),
    };
    const { outputs, read } = await this.#caches.run(session, only(session.inputNames, feeds), drawnOf(rows));
    const run = { far: {}, read, longest };
    for (const row of rows) row.cached = { run, place: placeOf(row), before: 0, first: row.unread.length, drawn: 0 };
    return inSteps(outputs, 1, rows.length);
  }

  async #write(rows: readonly Row[], { steps, enough }: RunLength, live: readonly Row[]): Promise<Outputs> {
    const burst = await this.#bound(rows, steps, live);
    const [width, , positions] = found(burst.setup.caches["k.0"], "the cache").dims as [number, number, number, number];
    const draws: BurstDraws[] = [];
    const ended = new Set<Row>();
    const wide = Array.from({ length: width }, (_, place) => rows[place]);
    let tokens = wide.map((row) => row?.unread[0] ?? 0);
    let taken = 0;
    while (taken < steps && (taken === 0 || rows.length - ended.size > enough)) {
      const count = Math.min(burstSteps, steps - taken);
      const each = (make: (row: Row, step: number) => number): number[] =>
        Array.from({ length: count }, (_, step) => wide.map((row) => (row ? make(row, taken + step) : 0))).flat();
      const drawn = await burst.run(count, {
        tokens,
        // A row that has ended draws on at its end.
        lengths: Int32Array.from(each((row, step) => Math.min(cachedLength(row.cached) + step, positions - 1))),
        blockUniforms: Float32Array.from(each((row, step) => row.uniforms(step)[0])),
        tokenUniforms: Float32Array.from(each((row, step) => row.uniforms(step)[1])),
      });
      draws.push(drawn);
      taken += count;
      const ids = Array.from(drawn.ids, Number);
      tokens = ids.slice(-width);
      for (const [b, row] of rows.entries())
        if (taken >= row.room || ids.some((id, i) => i % width === b && row.params.stopIds.includes(id))) ended.add(row);
    }
    for (const row of rows) {
      const cached = found(row.cached, "what the row has read");
      row.cached = { ...cached, before: cached.before + taken };
    }
    return joined(draws, taken, width);
  }

  /** Steps over the caches of these rows. */
  async #bound(rows: readonly Row[], steps: number, live: readonly Row[]): Promise<Burst> {
    const { params } = found(rows[0], "a row");
    const most = (of: (row: Row) => number) => Math.max(...rows.map((row) => cachedLength(row.cached) + of(row)));
    const least = most(({ room }) => Math.min(room, steps));
    // A multiple of some, so that a cache seldom grows.
    const spare = Math.ceil(most(({ room }) => Math.min(room, mostSpare)) / positionStep) * positionStep;
    const room = { rows: widthOf(rows.length), least, wanted: Math.max(least, Math.min(spare, this.config.maxPositions)) };
    const caches = (await this.#caches.join(rows, live, room)) as Readonly<Record<string, DeviceTensor>>;
    const { block, dims } = found(caches["k.0"], "the cache");
    const [width, , positions] = dims as [number, number, number, number];
    const session = await this.#session("step", rows, positions);
    // What is bound to arrays that are gone.
    if (block.address !== this.#boundAt) this.#unbind(() => true);
    this.#boundAt = block.address;
    const { temperature, topK, topP } = params;
    const key = [width, positions, temperature, topK, topP, topIdsOf(rows)].join("/");
    const known = this.#bursts.get(key);
    if (known) return known;
    const fixed = { ...(await this.#placedWeights(session)), ...this.#drawFeeds(rows), total: int32([positions], []) };
    this.#memory ??= await DeviceMemory.open(this.#options);
    const burst = new Burst(this.#memory, { session, fixed, caches, rows: width, topIds: topIdsOf(rows) });
    this.#bursts.set(key, burst);
    return burst;
  }

  /** A compiled graph, for as many positions at least. */
  async #session(which: Graphs, rows: readonly Row[], positions = 0): Promise<Session> {
    const { params } = found(rows[0], "a row");
    const draw = drawKindOf(params, this.config.vocabSize);
    const topIds = topIdsOf(rows);
    const reach = Math.max(positions, ...rows.map(({ mostPositions }) => mostPositions));
    const name = [which, ...Object.values(draw), topIds].join("/");
    return this.#sessions.get(name, reach, (room) => {
      const options: BurstGraphOptions = { config: withRoom(this.config, room), lora: this.#lora, dtype: this.#dtype, draw, topIds };
      // What a nucleus needs decides in the graph how it is drawn, which can't be recorded.
      const recorded = this.#isRecorded && which === "step" && !draw.isTruncated;
      return Session.create(graphs[which]({ ...options, unsampled: this.#options.unsampled }), { ...this.#options, recorded });
    });
  }

  #unbind(goes: (burst: Burst) => boolean): void {
    for (const [key, burst] of this.#bursts) {
      if (!goes(burst)) continue;
      burst.release();
      this.#bursts.delete(key);
    }
  }

  #drawFeeds(rows: readonly Row[]): Record<string, Tensor> {
    return drawFeeds(found(rows[0], "a row").params, this.config.vocabSize);
  }

  /** The weights that a graph reads: those that no graph has read yet go to the device now. */
  async #placedWeights(session: Session): Promise<Placed> {
    this.#resident ??= await ResidentFeeds.open(this.#options);
    const missing = session.inputNames.filter((name) => !this.#held.has(name));
    await this.#put(this.#resident, missing);
    return only(session.inputNames, this.#resident.feeds);
  }

  async #put(resident: ResidentFeeds, names: readonly string[]): Promise<void> {
    for (const [name, tensor] of burstWeights(names, this.config, this.#weights, this.#factors, this.#dtype)) {
      await resident.put(name, tensor);
      this.#held.add(name);
    }
  }

  async #renew(names: ReadonlySet<string>): Promise<void> {
    if (this.#resident)
      await this.#put(
        this.#resident,
        [...this.#held].filter((name) => names.has(name)),
      );
  }
}

const topIdsOf = (rows: readonly Row[]): number => found(rows[0], "a row").params.topIds ?? 0;

/** Names of outputs that say what was drawn. */
const drawnOf = (rows: readonly Row[]): string[] => [
  ...["ids", "logprobs", "samplingLogprobs"],
  ...(topIdsOf(rows) > 0 ? ["mostProbable"] : []),
];

/** The numbers that rows draw their next token with. */
function uniformFeeds(rows: readonly Row[]): Record<string, Tensor> {
  const [block, token] = [0, 1].map((part) => rows.map((row) => row.uniforms(0)[part as 0 | 1])) as [number[], number[]];
  const dims = [rows.length, 1];
  return { blockUniforms: float32(block, dims), tokenUniforms: float32(token, dims) };
}

/** What was drawn, as runs of the other decoder give it: [k, B, 1], and [k, B, topIds]. */
function inSteps(outputs: Outputs, steps: number, rows: number): Outputs {
  const stepped = Object.entries(outputs).map(([name, tensor]) => [name, { ...tensor, dims: [steps, rows, tensor.dims.at(-1) ?? 1] }]);
  const none = { dtype: "int32", dims: [steps, rows, 0], data: new Int32Array() };
  return { mostProbable: none, ...Object.fromEntries(stepped) };
}

function joined(draws: readonly BurstDraws[], steps: number, rows: number): Outputs {
  const all = <T extends number | bigint>(of: (drawn: BurstDraws) => ArrayLike<T>) => draws.flatMap((drawn) => Array.from(of(drawn)));
  const dims = [steps, rows, 1];
  const mostProbable = Int32Array.from(all(({ mostProbable }) => mostProbable));
  return {
    ids: { dtype: "int64", dims, data: BigInt64Array.from(all(({ ids }) => ids)) },
    logprobs: float32(
      all(({ logprobs }) => logprobs),
      dims,
    ),
    samplingLogprobs: float32(
      all(({ samplingLogprobs }) => samplingLogprobs),
      dims,
    ),
    mostProbable: int32(mostProbable, [steps, rows, mostProbable.length / (steps * rows)]),
  };
}
