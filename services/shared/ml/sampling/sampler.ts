import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { generator } from "../../base/random.js";
import { float32, int64, type Tensor } from "../graph/tensor.js";
import type { EncoderPart } from "../models/architectures/encoder.js";
import { promptFeeds } from "../models/architectures/sequence-inputs.js";
import { architectureOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { allInMemory, type Constants } from "../models/constants.js";
import { fuseFactors } from "../models/forward/fused-factors.js";
import { fuseProjections } from "../models/forward/fused-projections.js";
import { withRoom } from "../models/forward/rotary.js";
import { attentionsOf } from "../models/hidden-states.js";
import type { Adapter, Lora } from "../models/lora.js";
import { parameterCount } from "../models/model-params.js";
import type { Weights } from "../models/param-spec.js";
import { floatsOf, type Outputs, outputOf } from "../runtime/outputs.js";
import { type Feeds, Session, type SessionOptions } from "../runtime/session.js";
import { Sessions } from "../runtime/sessions.js";
import {
  type Chunk,
  cachedPositions,
  dropFinished,
  emptyCache,
  extendMask,
  type Piece,
  type Row,
  readCache,
  type SampleRequest,
} from "./chunk.js";
import { continueGraph, hasWindows, startGraph } from "./decode-graph.js";
import { negatedUniform } from "./draw.js";
import { encodeGraph } from "./encode-graph.js";
import { checkSamplingParams, type SamplingParams, samplingKind } from "./params.js";

/** What was sampled for one request: N tokens. */
export interface Completion {
  /** At least one token; the stop token included. */
  readonly ids: Int32Array;
  /** Log-probability of each token under the model at temperature 1, whatever it was drawn with. */
  readonly logprobs: Float32Array;
  /** Log-probability of each token under what it was drawn from: temperature and truncation applied; 0 when greedy. */
  readonly samplingLogprobs: Float32Array;
  /** [N, topIds]: at each position the most probable tokens in falling order; present if they were asked for. */
  readonly topIds?: Int32Array;
  readonly finish: "stop" | "length";
}

/** How a sampler computes; its samples don't depend on it. */
export interface SamplerOptions extends SessionOptions {
  /** Tokens per call into the runtime; between calls finished rows leave. */
  readonly chunkTokens: number;
  /** Most rows that are decoded together. */
  readonly maxRows: number;
  /** Feed the weights to each run instead of compiling them in; by default as the model's size makes it pay. */
  readonly weightsAsInputs?: boolean;
  /** Ids that are never drawn: those that the tokenizer has no token for. */
  readonly unsampled?: Int32Array;
}

/**
 * Up to this many parameters the weights are inputs of the graphs, beyond constants of them. Constants are packed for the
 * matrix products (8 % faster steps at 0.5M parameters, 15 % at 4M, several times at 100M and small batches), but every
 * new version compiles the graphs anew (18 ms at 0.5M, 40 to 60 ms at 4M: as much as it saves over 2,000 tokens).
 */
export const largestFedModel = 8_000_000;

/** Below this many parameters a second thread costs more in waiting than it takes over (0.5M: 34 ms instead of 24). */
const smallestThreadedModel = 1_500_000;

/** Most graphs that are kept: each has a copy of the weights, or a few MB. A way of drawing takes two. */
const [mostHeavy, mostLight] = [4, 16];

/**
 * Writes completions. A completion is a function of weights, prompt, seed and settings. Calls must not overlap; they
 * block the thread, so a sampler belongs in a worker.
 */
export class Sampler {
  readonly #config: ModelConfig;
  readonly #options: SamplerOptions;
  readonly #sessions: Sessions;
  /** Positions that the completions in hand reach. */
  #reach = 0;
  readonly #asInputs: boolean;
  #weights: Constants;
  readonly #lora: Lora | undefined;
  #weightFeeds: Feeds = {};

  /** @param adapter on the weights: they are then compiled in, and its factors fed, so that others of them cost nothing */
  constructor(config: ModelConfig, weights: Constants, options: SamplerOptions, adapter?: Pick<Adapter, "lora" | "factors">) {
    this.#config = config;
    const size = parameterCount(config);
    this.#options = { ...options, spinning: true, threads: size < smallestThreadedModel ? 1 : options.threads };
    this.#lora = adapter?.lora;
    this.#asInputs = options.weightsAsInputs ?? (!adapter && size <= largestFedModel);
    this.#sessions = new Sessions(config.maxPositions, this.#asInputs ? mostLight : mostHeavy);
    this.#weights = weights;
    if (adapter) this.setFactors(adapter.factors);
    else this.#feedWeights();
  }

  /** Uses other factors of the same adapter from the next call on; the graphs stay. */
  setFactors(factors: Weights): void {
    const lora = found(this.#lora, "the sampler's adapter");
    const fused = fuseFactors(this.#config, lora, factors, attentionsOf(this.#config));
    this.#weightFeeds = Object.fromEntries([...factors, ...fused]);
    this.#feedWeights();
  }

  /** Uses other weights of the same config from the next call on. */
  async setWeights(weights: Constants): Promise<void> {
    // Constants are compiled into the sessions; inputs are not.
    if (!this.#asInputs) await this.release();
    this.#weights = weights;
    this.#feedWeights();
  }

  /**
   * Completes each prompt.
   *
   * @param onChunk called after each chunk with the pieces that it added
   * @throws InvalidArgument for settings out of bounds, an empty prompt, or a prompt that leaves no room for maxNewTokens
   */
  async sample(
    requests: readonly SampleRequest[],
    params: SamplingParams,
    onChunk?: (pieces: readonly Piece[]) => void,
  ): Promise<Completion[]> {
    checkSamplingParams(params, this.#config.vocabSize);
    for (const [i, request] of requests.entries()) this.check(request, params, i);
    const completions: Completion[] = [];
    for (let start = 0; start < requests.length; start += this.#options.maxRows) {
      const rows = requests.slice(start, start + this.#options.maxRows).map((request, i) => newRow(request, start + i));
      await this.#group(rows, params, onChunk);
      for (const row of rows) completions.push(completionOf(row, params));
    }
    return completions;
  }

  /** Refuses a request that cannot be completed. */
  check({ promptIds }: SampleRequest, { maxNewTokens }: SamplingParams, index = 0): void {
    const { maxPositions, vocabSize } = this.#config;
    const refuse = (message: string) => {
      throw new RetortError("InvalidArgument", `prompt ${index}: ${message}`);
    };
    if (promptIds.length === 0) refuse("it has no tokens; give at least one (a start token, say)");
    if (promptIds.length + maxNewTokens > maxPositions) {
      refuse(
        `${promptIds.length} tokens and maxNewTokens ${maxNewTokens} exceed the model's ${maxPositions} positions; shorten one of them`,
      );
    }
    const stray = promptIds.find((id) => id < 0 || id >= vocabSize);
    if (stray !== undefined) refuse(`token id ${stray} is outside the vocabulary of ${vocabSize}`);
  }

  async release(): Promise<void> {
    await this.#sessions.release();
  }

  /** The weights as graphs have them. */
  get #declared(): Constants | "inputs" {
    return this.#asInputs ? "inputs" : this.#weights;
  }

  #feedWeights(): void {
    if (!this.#asInputs) return;
    const weights = allInMemory(this.#weights);
    const fused = fuseProjections(this.#config, weights, attentionsOf(this.#config));
    this.#weightFeeds = { ...this.#weightFeeds, ...Object.fromEntries([...weights, ...fused]) };
  }

  async #group(rows: readonly Row[], params: SamplingParams, onChunk?: (pieces: readonly Piece[]) => void): Promise<void> {
    this.#reach = Math.max(...rows.map(({ request }) => request.promptIds.length)) + params.maxNewTokens;
    const once = params.maxNewTokens <= this.#options.chunkTokens;
    const { encoder } = architectureOf(this.#config);
    let chunk = encoder ? await this.#begin(encoder, rows, params, !once) : await this.#start(rows, params, !once);
    this.#report(chunk, onChunk);
    while (chunk.written < params.maxNewTokens && chunk.alive.includes(1)) {
      chunk = await this.#continue(dropFinished(chunk), params);
      this.#report(chunk, onChunk);
    }
  }

  #report({ pieces }: Chunk, onChunk?: (pieces: readonly Piece[]) => void): void {
    if (pieces.length) onChunk?.(pieces);
  }

  async #start(rows: readonly Row[], params: SamplingParams, keepCache: boolean): Promise<Chunk> {
    const prompts = rows.map(({ request }) => request.promptIds);
    const { promptIds: ids, promptMask: mask } = promptFeeds(prompts, 0);
    const lengths = prompts.map(({ length }) => length);
    const steps = Math.min(params.maxNewTokens, this.#options.chunkTokens) - 1;
    const session = await this.#session("start", params, keepCache);
    const first = uniformsFor(rows, 1);
    const outputs = await session.run({
      ...this.#weightFeeds,
      ids,
      lengths: int64(lengths),
      mask,
      firstBlock: float32(first.block, [rows.length, 1]),
      firstToken: float32(first.token, [rows.length, 1]),
      ...drawFeeds(rows, steps, params),
    });
    const drawn = [
      {
        tokens: outputOf(outputs, "first"),
        logprobs: outputOf(outputs, "firstLogprobs"),
        samplingLogprobs: outputOf(outputs, "firstSamplingLogprobs"),
        topIds: outputs.firstTopIds,
      },
      drawnIn(outputs),
    ];
    const longest = Math.max(...lengths);
    const read = { mask: mask.data, cached: longest, longest, encoded: {}, written: 0 };
    return this.#take(rows, lengths, read, params, outputs, drawn, keepCache);
  }

  /** An encoder-decoder reads the prompts, each once, and begins every completion behind its start token. */
  async #begin(encoder: EncoderPart, rows: readonly Row[], params: SamplingParams, keepCache: boolean): Promise<Chunk> {
    const prompts = new Map<string, { readonly promptIds: Int32Array; readonly place: number }>();
    const places = rows.map(({ request: { promptIds } }) => {
      const key = promptIds.join();
      const { place } = prompts.get(key) ?? { place: prompts.size };
      prompts.set(key, { promptIds, place });
      return place;
    });
    const session = await this.#sessions.get("encode", 0, () =>
      Session.create(encodeGraph({ config: this.#config, weights: this.#declared, lora: this.#lora }, encoder), this.#options),
    );
    const distinct = [...prompts.values()].map(({ promptIds }) => promptIds);
    const encoded = await session.run({ ...this.#weightFeeds, ...promptFeeds(distinct, 0), rows: int64(places) });
    const start = { rows, lengths: rows.map(() => 1), mask: undefined, cached: 0, longest: 0, encoded, written: 0 };
    const alive = new Float32Array(rows.length).fill(1);
    return this.#continue({ ...start, cache: emptyCache(this.#config, rows.length), alive, pieces: [] }, params, keepCache);
  }

  async #continue(state: Chunk, params: SamplingParams, keepCache = true): Promise<Chunk> {
    const { rows, mask, cached, written } = state;
    const steps = Math.min(params.maxNewTokens - written, this.#options.chunkTokens);
    const session = await this.#session("continue", params, keepCache);
    const startId = this.#config.encoderDecoder?.startId;
    const token = int64(
      rows.map((row) => (written === 0 ? found(startId, "the start token") : lastOf(row))),
      [rows.length, 1],
    );
    const position = int64(state.lengths.map((length) => length + written - 1));
    const outputs = await session.run({
      ...this.#weightFeeds,
      token,
      position,
      aliveIn: float32(state.alive, [rows.length, 1]),
      ...(mask ? { mask: float32(mask, [rows.length, 1, 1, cached]) } : {}),
      ...(hasWindows(this.#config) ? { cachedPositions: cachedPositions(state) } : {}),
      ...state.encoded,
      ...state.cache,
      ...drawFeeds(rows, steps, params),
    });
    return this.#take(rows, state.lengths, state, params, outputs, [drawnIn(outputs)], keepCache);
  }

  /** Reads a chunk's tokens into its rows. */
  #take(
    rows: readonly Row[],
    lengths: readonly number[],
    { mask, cached, longest, encoded, written }: Pick<Chunk, "mask" | "cached" | "longest" | "encoded" | "written">,
    params: SamplingParams,
    outputs: Outputs,
    drawn: readonly DrawnTensors[],
    keepCache: boolean,
  ): Chunk {
    const steps = outputOf(outputs, "tokens").dims[0]!;
    const pieces = collect(rows, drawn, new Set(params.stopIds));
    return {
      rows,
      lengths,
      mask: keepCache && mask ? extendMask(mask, rows.length, cached, steps) : mask,
      cached: cached + steps,
      longest,
      encoded,
      cache: keepCache ? readCache(outputs, this.#config.layers) : {},
      written: written + drawn.reduce((sum, { tokens }) => sum + tokens.data.length / rows.length, 0),
      alive: floatsOf(outputs, "alive"),
      pieces: pieces.filter(({ ids }) => ids.length > 0),
    };
  }

  async #session(kind: "start" | "continue", params: SamplingParams, keepCache: boolean): Promise<Session> {
    const key = `${kind}/${keepCache}/${samplingKind(params)}`;
    const build = kind === "start" ? startGraph : continueGraph;
    return this.#sessions.get(key, this.#reach, (room) =>
      Session.create(
        build({
          config: withRoom(this.#config, room),
          weights: this.#declared,
          lora: this.#lora,
          params,
          keepCache,
          unsampled: this.#options.unsampled,
        }),
        this.#options,
      ),
    );
  }
}

/** Tokens and log-probabilities as a graph gives them, [N, B, 1] or [B, 1]; the most probable tokens, [N, B, K] or [B, K]. */
type DrawnTensors = Record<"tokens" | "logprobs" | "samplingLogprobs", Tensor> & { readonly topIds: Tensor | undefined };

const drawnIn = (outputs: Outputs): DrawnTensors => ({
  tokens: outputOf(outputs, "tokens"),
  logprobs: outputOf(outputs, "logprobs"),
  samplingLogprobs: outputOf(outputs, "samplingLogprobs"),
  topIds: outputs.topIds,
});

/** The token that a row has drawn last. */
const lastOf = ({ ids }: Row): number => ids[ids.length - 1]!;

const newRow = (request: SampleRequest, index: number): Row => ({
  request,
  index,
  next: generator(request.seed),
  ids: [],
  logprobs: [],
  samplingLogprobs: [],
  topIds: [],
});

/** Puts the drawn tokens behind their rows, nothing behind a stop token, and gives what each row got. */
function collect(rows: readonly Row[], drawn: readonly DrawnTensors[], stops: ReadonlySet<number>): Piece[] {
  const before = rows.map(({ ids }) => ids.length);
  for (const { tokens, logprobs, samplingLogprobs, topIds } of drawn) {
    const k = topIds?.dims.at(-1) ?? 0;
    for (let i = 0; i < tokens.data.length; i++) {
      const row = rows[i % rows.length]!;
      if (row.ids.length && stops.has(lastOf(row))) continue;
      row.ids.push(Number(tokens.data[i]));
      row.logprobs.push(finite(logprobs.data[i] as number, row));
      row.samplingLogprobs.push(samplingLogprobs.data[i] as number);
      if (topIds) row.topIds.push(...(topIds.data as Int32Array).subarray(i * k, (i + 1) * k));
    }
  }
  return rows.map(({ index, ids, logprobs }, b) => ({ index, ids: ids.slice(before[b]), logprobs: logprobs.slice(before[b]) }));
}

/** Where logits are NaN, every comparison fails and the first token would be drawn. */
function finite(logprob: number, { index, ids }: Row): number {
  if (Number.isFinite(logprob)) return logprob;
  throw new RetortError(
    "DataLoss",
    `completion ${index}: the log-probability of token ${ids.length} is ${logprob}; the model's logits are not finite: its weights are damaged, or its activations overflow`,
  );
}

function completionOf(row: Row, { stopIds, topIds: asked }: SamplingParams): Completion {
  const { ids, logprobs, samplingLogprobs, topIds } = row;
  return {
    ids: Int32Array.from(ids),
    logprobs: Float32Array.from(logprobs),
    samplingLogprobs: Float32Array.from(samplingLogprobs),
    ...(asked ? { topIds: Int32Array.from(topIds) } : {}),
    finish: stopIds.includes(lastOf(row)) ? "stop" : "length",
  };
}

/** The next `steps` pairs of uniforms of every row, step by step, negated as the graph wants them. */
function uniformsFor(rows: readonly Row[], steps: number): { block: Float32Array; token: Float32Array } {
  const block = new Float32Array(steps * rows.length);
  const token = new Float32Array(steps * rows.length);
  rows.forEach(({ next }, b) => {
    for (let n = 0; n < steps; n++) {
      block[n * rows.length + b] = negatedUniform(next());
      token[n * rows.length + b] = negatedUniform(next());
    }
  });
  return { block, token };
}

function drawFeeds(rows: readonly Row[], steps: number, { temperature }: SamplingParams): Record<string, Tensor> {
  const { block, token } = uniformsFor(rows, steps);
  const dims = [steps, rows.length, 1];
  return {
    blockUniforms: float32(block, dims),
    tokenUniforms: float32(token, dims),
    steps: int64([steps], []),
    temperature: float32([temperature || 1], []),
  };
}
