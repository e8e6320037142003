import { RetortError } from "../../base/errors.js";
import { generator } from "../../base/random.js";
import { float32, int32, int64, type Tensor } from "../graph/tensor.js";
import { maskedScore } from "../models/attention.js";
import type { ModelConfig } from "../models/config.js";
import type { Weights } from "../models/params.js";
import { Session, type SessionOptions } from "../runtime/session.js";
import { cacheName, continueGraph, startGraph } from "./decode-graph.js";
import { checkSamplingParams, type SamplingParams, samplingKind } from "./params.js";

export interface SampleRequest {
  readonly promptIds: Int32Array;
  /** The n-th token of the completion is drawn with the n-th number of the stream that this names. */
  readonly seed: bigint;
}

export interface Completion {
  /** At least one token; the stop token included. */
  readonly ids: Int32Array;
  /** Log-probability of each token under the model at temperature 1, whatever it was drawn with. */
  readonly logprobs: Float32Array;
  readonly finish: "stop" | "length";
}

export interface SamplerOptions extends SessionOptions {
  /** Tokens per call into the runtime; between calls finished rows leave. */
  readonly chunkTokens: number;
  /** Most rows that are decoded together. */
  readonly maxRows: number;
}

/** A row that is being written. */
interface Row {
  readonly request: SampleRequest;
  readonly index: number;
  readonly next: () => number;
  readonly ids: number[];
  readonly logprobs: number[];
}

/**
 * Writes completions. A completion is a function of weights, prompt, seed and settings. Calls must not overlap; they
 * block the thread, so a sampler belongs in a worker.
 */
export class Sampler {
  readonly #config: ModelConfig;
  readonly #options: SamplerOptions;
  readonly #sessions = new Map<string, Session>();
  #weights: Weights;

  constructor(config: ModelConfig, weights: Weights, options: SamplerOptions) {
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
  }

  /** Uses other weights from the next call on. The weights are compiled into the sessions, so those are made anew. */
  async setWeights(weights: Weights): Promise<void> {
    await this.release();
    this.#weights = weights;
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
    checkSamplingParams(params);
    requests.forEach((request, i) => this.check(request, params, i));
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
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }

  async #group(rows: readonly Row[], params: SamplingParams, onChunk?: (pieces: readonly Piece[]) => void): Promise<void> {
    const once = params.maxNewTokens <= this.#options.chunkTokens;
    let chunk = await this.#start(rows, params, !once);
    this.#report(chunk, onChunk);
    while (chunk.written < params.maxNewTokens && chunk.finished.includes(0)) {
      chunk = await this.#continue(dropFinished(chunk), params);
      this.#report(chunk, onChunk);
    }
  }

  #report({ pieces }: Chunk, onChunk?: (pieces: readonly Piece[]) => void): void {
    if (pieces.length) onChunk?.(pieces);
  }

  async #start(rows: readonly Row[], params: SamplingParams, keepCache: boolean): Promise<Chunk> {
    const longest = Math.max(...rows.map(({ request }) => request.promptIds.length));
    const ids = new Int32Array(rows.length * longest);
    const mask = new Float32Array(rows.length * longest).fill(maskedScore);
    rows.forEach(({ request: { promptIds } }, b) => {
      ids.set(promptIds, b * longest);
      mask.fill(0, b * longest, b * longest + promptIds.length);
    });
    const steps = Math.min(params.maxNewTokens, this.#options.chunkTokens) - 1;
    const session = await this.#session("start", params, keepCache);
    const firstUniforms = Float32Array.from(rows, ({ next }) => toUniform(next()));
    const outputs = await session.run({
      ids: int32(ids, [rows.length, longest]),
      lengths: int64(rows.map(({ request }) => request.promptIds.length)),
      mask: float32(mask, [rows.length, longest]),
      firstUniforms: float32(firstUniforms, [rows.length]),
      ...drawFeeds(rows, steps, params),
    });
    const lengths = rows.map(({ request }) => request.promptIds.length);
    const first = { tokens: outputs.first!, logprobs: outputs.firstLogprobs! };
    return this.#take(rows, lengths, { mask, cached: longest }, params, outputs, 0, keepCache, first);
  }

  async #continue(state: Chunk, params: SamplingParams): Promise<Chunk> {
    const { rows, mask, cached, written } = state;
    const steps = Math.min(params.maxNewTokens - written, this.#options.chunkTokens);
    const session = await this.#session("continue", params, true);
    const token = int64(rows.map(({ ids }) => ids.at(-1)!));
    const position = int64(state.lengths.map((length) => length + written - 1));
    const outputs = await session.run({
      token,
      position,
      finishedIn: { dtype: "bool", dims: [rows.length], data: state.finished },
      mask: float32(mask, [rows.length, cached]),
      ...state.cache,
      ...drawFeeds(rows, steps, params),
    });
    return this.#take(rows, state.lengths, state, params, outputs, written, true);
  }

  /** Reads a chunk's tokens into its rows. */
  #take(
    rows: readonly Row[],
    lengths: readonly number[],
    { mask, cached }: { mask: Float32Array; cached: number },
    params: SamplingParams,
    outputs: Readonly<Record<string, Tensor>>,
    written: number,
    keepCache: boolean,
    first?: { tokens: Tensor; logprobs: Tensor },
  ): Chunk {
    const stops = new Set(params.stopIds);
    const pieces = rows.map(({ index }) => ({ index, ids: [] as number[], logprobs: [] as number[] }));
    const put = (b: number, token: number, logprob: number) => {
      const { ids, logprobs } = rows[b]!;
      if (ids.length && stops.has(ids.at(-1)!)) return;
      ids.push(token);
      logprobs.push(logprob);
      pieces[b]!.ids.push(token);
      pieces[b]!.logprobs.push(logprob);
    };
    const read = (tokens: Tensor, logprobs: Tensor) => {
      for (let i = 0; i < tokens.data.length; i++) put(i % rows.length, Number(tokens.data[i]), logprobs.data[i] as number);
    };
    if (first) read(first.tokens, first.logprobs);
    read(outputs.tokens!, outputs.logprobs!);
    const steps = outputs.tokens!.dims[0]!;
    const cache = keepCache ? readCache(outputs, this.#config.layers) : {};
    const longer = keepCache ? extendMask(mask, rows.length, cached, steps) : mask;
    return {
      rows,
      lengths,
      mask: longer,
      cached: cached + steps,
      cache,
      written: written + steps + (first ? 1 : 0),
      finished: outputs.finished!.data as Uint8Array,
      pieces: pieces.filter(({ ids }) => ids.length > 0),
    };
  }

  async #session(kind: "start" | "continue", params: SamplingParams, keepCache: boolean): Promise<Session> {
    const key = `${kind}/${keepCache}/${samplingKind(params)}`;
    const known = this.#sessions.get(key);
    if (known) return known;
    const build = kind === "start" ? startGraph : continueGraph;
    const session = await Session.create(build({ config: this.#config, weights: this.#weights, params, keepCache }), this.#options);
    this.#sessions.set(key, session);
    return session;
  }
}

/** What a chunk added to one completion. */
export interface Piece {
  /** Position of the request. */
  readonly index: number;
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
}

/** The state between two chunks. */
interface Chunk {
  readonly rows: readonly Row[];
  readonly lengths: readonly number[];
  readonly mask: Float32Array;
  readonly cached: number;
  readonly cache: Readonly<Record<string, Tensor>>;
  /** Tokens written per row, those after an end included. */
  readonly written: number;
  readonly finished: Uint8Array;
  readonly pieces: readonly Piece[];
}

const newRow = (request: SampleRequest, index: number): Row => ({ request, index, next: generator(request.seed), ids: [], logprobs: [] });

/** 24 random bits as a number in [0, 1), exact in float32. */
const toUniform = (bits: number): number => (bits >>> 8) / 2 ** 24;

function completionOf({ ids, logprobs }: Row, { stopIds }: SamplingParams): Completion {
  const finish = stopIds.includes(ids.at(-1)!) ? "stop" : "length";
  return { ids: Int32Array.from(ids), logprobs: Float32Array.from(logprobs), finish };
}

function drawFeeds(rows: readonly Row[], steps: number, { temperature }: SamplingParams): Record<string, Tensor> {
  const uniforms = new Float32Array(steps * rows.length);
  rows.forEach(({ next }, b) => {
    for (let n = 0; n < steps; n++) uniforms[n * rows.length + b] = toUniform(next());
  });
  return { uniforms: float32(uniforms, [steps, rows.length]), steps: int64([steps], []), temperature: float32([temperature || 1], []) };
}

function readCache(outputs: Readonly<Record<string, Tensor>>, layers: number): Record<string, Tensor> {
  const names = Array.from({ length: layers }, (_, layer) => [cacheName("k", layer), cacheName("v", layer)]).flat();
  return Object.fromEntries(names.map((name) => [name, outputs[`next.${name}`]!]));
}

/** The positions that a chunk wrote are all visible. */
function extendMask(mask: Float32Array, rows: number, cached: number, steps: number): Float32Array {
  const longer = new Float32Array(rows * (cached + steps));
  for (let b = 0; b < rows; b++) longer.set(mask.subarray(b * cached, (b + 1) * cached), b * (cached + steps));
  return longer;
}

/** Takes finished rows out when they are at least a quarter, so that the rest costs less. */
function dropFinished(chunk: Chunk): Chunk {
  const alive = chunk.rows.flatMap((_, b) => (chunk.finished[b] ? [] : [b]));
  if (alive.length > chunk.rows.length * 0.75) return chunk;
  const pick = <T>(list: readonly T[]) => alive.map((b) => list[b]!);
  const rowsOf = (data: Float32Array) => {
    const size = data.length / chunk.rows.length;
    const out = new Float32Array(size * alive.length);
    alive.forEach((b, i) => out.set(data.subarray(b * size, (b + 1) * size), i * size));
    return out;
  };
  const cache = Object.fromEntries(
    Object.entries(chunk.cache).map(([name, { data, dims }]) => [
      name,
      float32(rowsOf(data as Float32Array), [alive.length, ...dims.slice(1)]),
    ]),
  );
  return {
    ...chunk,
    rows: pick(chunk.rows),
    lengths: pick(chunk.lengths),
    mask: rowsOf(chunk.mask),
    cache,
    finished: new Uint8Array(alive.length),
  };
}
