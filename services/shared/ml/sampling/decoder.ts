import { found } from "../../base/found.js";
import type { EncoderPart } from "../models/architectures/encoder.js";
import { promptFeeds } from "../models/architectures/sequence-inputs.js";
import { architectureOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { allInMemory, type Constants, inMemory } from "../models/constants.js";
import { fuseFactors } from "../models/forward/fused-factors.js";
import { fusedSources, fuseProjections } from "../models/forward/fused-projections.js";
import { withRoom } from "../models/forward/rotary.js";
import { attentionsOf } from "../models/hidden-states.js";
import type { Adapter, Lora } from "../models/lora.js";
import { parameterCount } from "../models/model-params.js";
import type { Weights } from "../models/param-spec.js";
import type { Outputs } from "../runtime/outputs.js";
import { ResidentFeeds } from "../runtime/resident-feeds.js";
import { type Feeds, keepsOnDevice, type Placed, Session, type SessionOptions } from "../runtime/session.js";
import { Sessions } from "../runtime/sessions.js";
import type { CacheDtype } from "./cache-dtype.js";
import { decodeGraph, drawnNames } from "./decode-graph.js";
import { DeviceCaches } from "./device-caches.js";
import { encodeGraph } from "./encode-graph.js";
import type { Row } from "./row.js";
import { type CachedRow, cachedLength, firstOf } from "./row-cache.js";
import { HostCaches, type RowCaches } from "./row-caches.js";
import { joinPrompts } from "./row-prompts.js";
import { type RunLength, runFeeds } from "./run-feeds.js";
import { groupsToRead, stepsWithin } from "./schedule.js";

/** How a decoder computes; what it draws doesn't depend on it. */
export interface DecoderOptions extends SessionOptions {
  /** Feed the weights to each run instead of compiling them in; by default as the model's size makes it pay. */
  readonly weightsAsInputs?: boolean;
  /**
   * Keep the weights where graphs are computed, as their inputs: a new version of them is a copy, and no graph is compiled again. Held as
   * float32. Default: weights of float32 on a GPU with the runtime native, which alone can do it.
   */
  readonly weightsOnDevice?: boolean;
  /** Keep what rows have read where graphs are computed. Default: on a GPU with the runtime native, which alone can do it. */
  readonly cacheOnDevice?: boolean;
  /**
   * Write in bursts of steps whose every input and output has its place on the device, by the runtime's fused operators: in this
   * element type, whatever the weights are held in. Default: in float16 where all weights are, on a GPU with the runtime native, which
   * alone can do it, and the model is one that does.
   */
  readonly bursts?: CacheDtype;
  /** Ids that are never drawn: those that the tokenizer has no token for. */
  readonly unsampled?: Int32Array;
}

/**
 * Up to this many parameters the weights are inputs of the graphs, beyond constants of them. Constants are packed for the
 * matrix products (8 % faster steps at 0.5M parameters, 15 % at 4M, several times at 100M and small batches), but every
 * new version compiles the graphs again (18 ms at 0.5M, 40 to 60 ms at 4M: as much as it saves over 2,000 tokens).
 */
export const largestFedModel = 8_000_000;

/** The same where constants can be written over: 15 % faster steps at 4M parameters, and a version costs 4 ms more. */
const largestFedBeside = 1_500_000;

/** Below this many parameters a second thread costs more in waiting than it takes over (0.5M: 34 ms instead of 24). */
const smallestThreadedModel = 1_500_000;

/** A model as it writes: one graph for every way of drawing, and for an encoder-decoder one that reads prompts. */
export class Decoder {
  readonly config: ModelConfig;
  readonly parameters: number;
  readonly #options: DecoderOptions;
  readonly #sessions: Sessions;
  readonly #asInputs: boolean;
  /** Whether queries, keys and values are one product. */
  readonly #fused: boolean;
  readonly #lora: Lora | undefined;
  readonly #caches: RowCaches;
  #weights: Constants;
  #weightFeeds: Feeds = {};
  /** The weights are kept on the device; undefined until a run needs them there. */
  readonly #keepsWeights: boolean;
  #resident: ResidentFeeds | undefined;
  /** What the encoder has read for these rows. */
  #prompts: { readonly rows: readonly Row[]; readonly feeds: Feeds } = { rows: [], feeds: {} };

  /** @param adapter on the weights: they are then compiled in, and its factors fed, so that others of them cost nothing */
  constructor(config: ModelConfig, weights: Constants, options: DecoderOptions, adapter?: Pick<Adapter, "lora" | "factors">) {
    this.config = config;
    this.parameters = parameterCount(config);
    const isSmall = this.parameters <= largestFedModel;
    this.#options = { ...options, spinning: true, threads: this.parameters < smallestThreadedModel ? 1 : options.threads };
    this.#lora = adapter?.lora;
    const { weightsOnDevice = keepsOnDevice(options) && !adapter && [...weights.values()].every(({ dtype }) => dtype === "float32") } =
      options;
    this.#keepsWeights = weightsOnDevice;
    const isFed = this.parameters <= (options.rewritable ? largestFedBeside : largestFedModel);
    this.#asInputs = options.weightsAsInputs ?? (weightsOnDevice || (!adapter && isFed));
    const isDecoder = architectureOf(config).encoder === undefined;
    this.#fused = isDecoder && (isSmall ? this.#asInputs || adapter !== undefined : options.weightsAsInputs === true);
    this.#caches = (options.cacheOnDevice ?? keepsOnDevice(options)) ? new DeviceCaches(config, this.#options) : new HostCaches(config);
    this.#sessions = new Sessions(config.maxPositions, 2);
    this.#weights = weights;
    if (adapter) this.setFactors(adapter.factors);
    else this.#feedWeights();
  }

  /** Uses other factors of the same adapter from the next run on; the graphs stay. */
  setFactors(factors: Weights): void {
    const lora = found(this.#lora, "the sampler's adapter");
    const fused = this.#fused ? fuseFactors(this.config, lora, factors, attentionsOf(this.config)) : [];
    this.#weightFeeds = Object.fromEntries([...factors, ...fused]);
    this.#feedWeights();
  }

  /** Uses other weights of the same config from the next run on: those that are compiled in are so now. */
  async setWeights(weights: Constants): Promise<void> {
    this.#weights = weights;
    this.#feedWeights();
    if (this.#resident) await this.#takeToDevice(this.#resident);
    if (!this.#asInputs) await this.#sessions.renew(weights);
  }

  /** Most steps of a run of so many rows. */
  mostSteps(rows: number): number {
    return this.#caches.joinsInPlace ? stepsWithin(this.config, rows) : Number.POSITIVE_INFINITY;
  }

  /** The rows that read together before others go on. */
  groups(rows: readonly Row[]): Row[][] {
    return groupsToRead(this.config, this.parameters, rows);
  }

  /**
   * Lets rows with the same settings read on, and draw. What they have read is theirs behind it: what they drew is not.
   *
   * @param live all rows that go on, in their places
   */
  async run(rows: readonly Row[], length: RunLength, live: readonly Row[]): Promise<Outputs> {
    const { encoder } = architectureOf(this.config);
    const prompts = encoder ? await this.#readPrompts(encoder, rows) : {};
    const reach = Math.max(...rows.map(({ mostPositions }) => mostPositions));
    const session = await this.#sessions.get("decode", reach, (room) =>
      Session.create(
        decodeGraph({
          config: withRoom(this.config, room),
          weights: this.#declared,
          fused: this.#fused,
          lora: this.#lora,
          unsampled: this.#options.unsampled,
        }),
        this.#options,
      ),
    );
    const far = await this.#caches.join(rows, live);
    const feeds = { ...(await this.#placedWeights()), ...prompts, ...far, ...runFeeds(this.config, rows, length) };
    // What no row goes on from isn't brought out of the runtime.
    const isLast = length.enough === 0 && rows.every((row) => row.room <= length.steps && !this.#isKept(row));
    if (isLast) return session.run(feeds, {}, drawnNames);
    const { outputs, read } = await this.#caches.run(session, feeds);
    const run = { far, read, longest: Math.max(...rows.map(({ unread }) => unread.length)) };
    const drawn = found(outputs.ids, "what was drawn").dims[0]! - 1;
    for (const [place, row] of rows.entries())
      row.cached = { run, place, before: cachedLength(row.cached), first: row.unread.length, drawn };
    return outputs;
  }

  /** A copy of what a row has read, once it has ended, to begin others behind; undefined where it isn't to be kept, or can't be. */
  copyOf(row: Row): CachedRow | undefined {
    if (!this.#isKept(row) || row.finish !== "stop" || !row.cached) return undefined;
    // Behind its end lies what the run drew until others ended.
    return this.#caches.copyOf?.(firstOf(row.cached, row.text.length));
  }

  /** What an encoder-decoder reads behind its first token isn't the prompt. */
  #isKept({ request }: Row): boolean {
    return request.conversation !== undefined && this.#caches.copyOf !== undefined && !this.config.encoderDecoder;
  }

  /** Lets go of what rows have read, when none goes on. */
  rest(): void {
    this.#caches.rest();
    this.#prompts = { rows: [], feeds: {} };
  }

  async release(): Promise<void> {
    await this.#caches.release();
    await this.#sessions.release();
    await this.#resident?.release();
    this.#resident = undefined;
  }

  /** The weights as graphs have them. */
  get #declared(): Constants | "inputs" {
    return this.#asInputs ? "inputs" : this.#weights;
  }

  #feedWeights(): void {
    if (!this.#asInputs || this.#keepsWeights) return;
    const weights = allInMemory(this.#weights);
    const fused = this.#fused ? fuseProjections(this.config, weights, attentionsOf(this.config)) : [];
    this.#weightFeeds = { ...this.#weightFeeds, ...Object.fromEntries([...weights, ...fused]) };
  }

  /** What every run is fed besides what it reads. */
  async #placedWeights(): Promise<Placed> {
    if (!this.#keepsWeights) return this.#weightFeeds;
    if (!this.#resident) {
      const resident = await ResidentFeeds.open(this.#options);
      this.#resident = resident;
      await this.#takeToDevice(resident);
    }
    return { ...this.#weightFeeds, ...this.#resident.feeds };
  }

  /** One weight after the other: those in files are never in memory together. */
  async #takeToDevice(resident: ResidentFeeds): Promise<void> {
    const attentions = attentionsOf(this.config);
    // The runtime would bring an input that no graph reads back from the device.
    const unread = this.#fused ? fusedSources(this.config, attentions) : new Set<string>();
    this.#weightFeeds = Object.fromEntries(allInMemory(new Map([...this.#weights].filter(([name]) => unread.has(name)))));
    for (const [name, weight] of this.#weights) if (!unread.has(name)) await resident.put(name, inMemory(weight));
    if (!this.#fused) return;
    for (const [name, weight] of fuseProjections(this.config, allInMemory(this.#weights), attentions)) await resident.put(name, weight);
  }

  /** Lets the encoder read prompts that it has not read yet, each once, and gives those of the rows. */
  async #readPrompts(encoder: EncoderPart, rows: readonly Row[]): Promise<Feeds> {
    const known = this.#prompts.rows;
    if (known.length === rows.length && rows.every((row, b) => row === known[b])) return this.#prompts.feeds;
    const fresh = rows.filter(({ encoded }) => !encoded);
    if (fresh.length > 0) {
      const distinct = new Map(fresh.map(({ promptKey, request: { promptIds } }) => [promptKey, promptIds]));
      const places = new Map([...distinct.keys()].map((key, place) => [key, place]));
      const session = await this.#sessions.get("encode", 0, () =>
        Session.create(encodeGraph({ config: this.config, weights: this.#declared, lora: this.#lora }, encoder), this.#options),
      );
      const prompts = await session.run({ ...(await this.#placedWeights()), ...promptFeeds([...distinct.values()], 0) });
      for (const row of fresh) {
        const { promptKey, request } = row;
        row.encoded = { prompts, place: found(places.get(promptKey), "the prompt's place"), length: request.promptIds.length };
      }
    }
    const feeds = joinPrompts(rows.map(({ encoded }) => found(encoded, "the row's prompt")));
    this.#prompts = { rows, feeds };
    return feeds;
  }
}
