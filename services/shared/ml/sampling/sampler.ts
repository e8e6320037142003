import { setImmediate as turn } from "node:timers/promises";
import { counted } from "../../base/counted.js";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { ModelConfig } from "../models/config/model-config.js";
import type { Constants } from "../models/constants.js";
import { fusedObstacle } from "../models/fused-states.js";
import type { Adapter } from "../models/lora.js";
import type { Weights } from "../models/param-spec.js";
import { keepsOnDevice } from "../runtime/session.js";
import { BurstDecoder } from "./bursts/burst-decoder.js";
import { Call } from "./call.js";
import type { Completion, Piece, SampleRequest } from "./chunk.js";
import { Decoder, type DecoderOptions } from "./decoder.js";
import { KeptRows } from "./kept-rows.js";
import { checkSamplingParams, type SamplingParams } from "./params.js";
import type { Row } from "./row.js";
import { placed } from "./row-cache.js";
import type { RunLength } from "./run-feeds.js";
import { lengthOfRun } from "./schedule.js";

export type { Completion } from "./chunk.js";

/** Whether a model writes in bursts. @throws FailedPrecondition where that is asked of one that can't */
function writesInBursts(config: ModelConfig, weights: Constants, options: SamplerOptions): boolean {
  const refusal = fusedObstacle(config);
  if (!options.bursts) return !refusal && keepsOnDevice(options) && [...weights.values()].every(({ dtype }) => dtype === "float16");
  if (refusal) throw new RetortError("FailedPrecondition", `this model can't write in bursts: ${refusal}`);
  return true;
}

/** How a sampler computes; its samples don't depend on it. */
export interface SamplerOptions extends DecoderOptions {
  /** Most tokens per call into the runtime; between calls finished rows leave, and waiting requests take their places. */
  readonly chunkTokens: number;
  /** Most rows that are decoded together. */
  readonly maxRows: number;
  /** Most bytes that conversations may take between their turns. Default: 512 MiB. */
  readonly keptBytes?: number;
}

/**
 * Writes completions. A completion is a function of weights, prompt, seed and settings. Calls of {@link Sampler.sample} may
 * overlap: rows with the same settings are written together, whichever call they are of, and a row that has ended leaves its
 * place to a request that waits. Nothing else may happen meanwhile. Runs block the thread, so a sampler belongs in a worker.
 */
export class Sampler {
  readonly #decoder: Decoder | BurstDecoder;
  readonly #options: SamplerOptions;
  /** In the order of their coming, until all of their completions are written. */
  #calls: readonly Call[] = [];
  #isWorking = false;
  /** Rows in their places. */
  #places: readonly Row[] = [];
  readonly #kept: KeptRows;

  /** @param adapter on the weights: they are then compiled in, and its factors fed, so that others of them cost nothing */
  constructor(config: ModelConfig, weights: Constants, options: SamplerOptions, adapter?: Pick<Adapter, "lora" | "factors">) {
    this.#options = options;
    this.#kept = new KeptRows(options.keptBytes);
    const Kind = writesInBursts(config, weights, options) ? BurstDecoder : Decoder;
    this.#decoder = new Kind(config, weights, options, adapter);
  }

  /** Uses other factors of the same adapter from the next call on; the graphs stay. */
  async setFactors(factors: Weights): Promise<void> {
    this.#kept.clear();
    await this.#decoder.setFactors(factors);
  }

  /** Uses other weights of the same config from the next call on. */
  async setWeights(weights: Constants): Promise<void> {
    this.#kept.clear();
    await this.#decoder.setWeights(weights);
  }

  /**
   * Completes each prompt.
   *
   * @param onPieces called after each run with the pieces that it added
   * @throws InvalidArgument for settings out of bounds, an empty prompt, or a prompt that leaves no room for maxNewTokens;
   *   DataLoss where logits are not finite
   */
  async sample(
    requests: readonly SampleRequest[],
    params: SamplingParams,
    onPieces?: (pieces: readonly Piece[]) => void,
  ): Promise<Completion[]> {
    const { vocabSize, encoderDecoder } = this.#decoder.config;
    checkSamplingParams(params, vocabSize);
    for (const [i, request] of requests.entries()) this.check(request, params, i);
    if (requests.length === 0) return [];
    const call = new Call(requests, params, encoderDecoder?.startId, onPieces);
    this.#calls = [...this.#calls, call];
    if (!this.#isWorking) void this.#work();
    return call.done;
  }

  /** Refuses a request that cannot be completed. */
  check({ promptIds, maxNewTokens: own }: SampleRequest, params: SamplingParams, index = 0): void {
    const maxNewTokens = own ?? params.maxNewTokens;
    const { maxPositions, vocabSize } = this.#decoder.config;
    const refuse = (message: string) => {
      throw new RetortError("InvalidArgument", `prompt ${index}: ${message}`);
    };
    if (promptIds.length === 0) refuse("it has no tokens; give at least one (a start token, say)");
    if (!(Number.isInteger(maxNewTokens) && maxNewTokens >= 1)) refuse(`maxNewTokens is ${maxNewTokens}; it must be at least 1`);
    if (promptIds.length + maxNewTokens > maxPositions) {
      refuse(
        `${counted(promptIds.length, "token")} and maxNewTokens ${maxNewTokens} exceed the model's ${maxPositions} positions; shorten one of them`,
      );
    }
    const stray = promptIds.find((id) => id < 0 || id >= vocabSize);
    if (stray !== undefined) refuse(`token id ${stray} is outside the vocabulary of ${vocabSize}`);
  }

  /** Why a request cannot be completed; undefined if it can. */
  refusal(request: SampleRequest, params: SamplingParams, index: number): string | undefined {
    try {
      checkSamplingParams(params, this.#decoder.config.vocabSize);
      this.check(request, params, index);
      return undefined;
    } catch (error) {
      return RetortError.from(error).message;
    }
  }

  async release(): Promise<void> {
    this.#kept.clear();
    await this.#decoder.release();
  }

  /** Writes until no call is left. */
  async #work(): Promise<void> {
    this.#isWorking = true;
    // Calls that come together begin together.
    await turn();
    while (this.#calls.length > 0) {
      try {
        this.#fill();
        await this.#advance();
      } catch (error) {
        const writing = this.#calls.filter(({ rows }) => rows.length > 0);
        for (const call of writing.length > 0 ? writing : this.#calls) this.#fail(call, error);
      }
    }
    this.#places = [];
    this.#decoder.rest();
    this.#isWorking = false;
  }

  get #rows(): Row[] {
    return this.#calls.flatMap(({ rows }) => rows);
  }

  /** What rows that are written now have in common. */
  get #key(): string {
    return found(this.#calls.find(({ rows }) => rows.length > 0) ?? this.#calls[0], "a call").key;
  }

  /** Gives free places to waiting requests with the settings of the rows that are there, in the order of their coming. */
  #fill(): void {
    const key = this.#key;
    let free = this.#options.maxRows - this.#rows.length;
    for (const call of this.#calls) {
      // Those behind one with other settings wait until it has had its turn.
      if (call.key !== key) break;
      const before = call.waiting;
      call.begin(free);
      free -= before - call.waiting;
    }
    this.#goOn();
    this.#shareRead();
  }

  /** Rows whose conversations are kept begin behind what was read of these. */
  #goOn(): void {
    for (const row of this.#rows) {
      const { conversation, promptIds } = row.request;
      const known = row.cached || conversation === undefined ? undefined : this.#kept.take(conversation, promptIds);
      if (known) row.beginBehind(known);
    }
  }

  /** Rows that begin with a prompt that another has read begin behind that. */
  #shareRead(): void {
    const rows = this.#rows;
    // What a decoder reads first of an encoder-decoder isn't the prompt.
    if (this.#decoder.config.encoderDecoder || rows.every(({ cached }) => cached)) return;
    const read = new Map(rows.flatMap(({ cached, promptKey }) => (cached ? [[promptKey, cached] as const] : [])));
    for (const row of rows) {
      const known = row.cached ? undefined : read.get(row.promptKey);
      if (known) row.beginBehind(known);
    }
  }

  /** Those with long texts read them; or all draw as many tokens as pays. */
  async #advance(): Promise<void> {
    const [reading] = this.#decoder.groups(this.#arrange());
    // Calls that have come meanwhile read theirs, before all go on together.
    if (reading) return this.#run(reading, { steps: 1, enough: 0 });
    const rows = this.#arrange();
    const key = rows.length > 0 ? this.#key : undefined;
    const isAnyWaiting = this.#calls.some((call) => call.waiting > 0 && call.key === key);
    const most = Math.min(this.#options.chunkTokens, this.#decoder.mostSteps(rows.length));
    if (rows.length > 0) await this.#run(rows, lengthOfRun(rows, most, isAnyWaiting));
  }

  /** The rows in the order of their places, which they keep. */
  #arrange(): readonly Row[] {
    this.#places = placed(this.#places, this.#rows);
    return this.#places;
  }

  async #run(rows: readonly Row[], length: RunLength): Promise<void> {
    const outputs = await this.#decoder.run(rows, length, this.#places);
    const places = new Map(rows.map((row, place) => [row, place]));
    for (const call of this.#calls) {
      try {
        call.take(outputs, places);
      } catch (error) {
        this.#fail(call, error);
      }
    }
    for (const row of rows) {
      const cached = this.#decoder.copyOf(row);
      if (cached && row.request.conversation !== undefined) this.#kept.keep(row.request.conversation, row.text, cached);
    }
    this.#calls = this.#calls.filter((call) => !call.isDone);
  }

  #fail(call: Call, error: unknown): void {
    call.fail(error);
    this.#calls = this.#calls.filter((other) => other !== call);
  }
}
