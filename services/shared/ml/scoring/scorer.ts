import { RetortError } from "../../base/errors.js";
import { float32, int32, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config.js";
import type { Weights } from "../models/params.js";
import { Session, type SessionOptions } from "../runtime/session.js";
import type { Score, Signal } from "./score.js";
import { scoreGraph } from "./score-graph.js";

/** A prompt and the completion to score; at least one token each. */
export interface ScoreInput {
  readonly promptIds: Int32Array;
  readonly completionIds: Int32Array;
}

export interface ScorerOptions extends SessionOptions {
  /** Most tokens of one forward, padding included. */
  readonly batchTokens: number;
}

/** Scores completions under a model. Calls block their thread and must not overlap; a scorer belongs in a worker. */
export class Scorer {
  readonly #config: ModelConfig;
  readonly #weights: Weights;
  readonly #options: ScorerOptions;
  readonly #sessions = new Map<string, Session>();

  constructor(config: ModelConfig, weights: Weights, options: ScorerOptions) {
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
  }

  /**
   * Scores every completion token of each sequence.
   *
   * @throws InvalidArgument for a sequence that is empty or longer than the model's positions, a token outside the
   *   vocabulary, or a signal with k outside 1..V or a temperature that is not positive
   */
  async score(inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
    this.#checkSignal(signal);
    for (const [i, input] of inputs.entries()) this.check(input, i);
    const scores = new Array<Score>(inputs.length);
    for (const members of this.#batches(inputs)) {
      const results = await this.#forward(
        members.map((i) => inputs[i]!),
        signal,
      );
      members.forEach((member, i) => {
        scores[member] = results[i]!;
      });
    }
    return scores;
  }

  /** Refuses a sequence that cannot be scored. */
  check({ promptIds, completionIds }: ScoreInput, index = 0): void {
    const { maxPositions, vocabSize } = this.#config;
    const refuse = (message: string) => {
      throw new RetortError("InvalidArgument", `sequence ${index}: ${message}`);
    };
    if (promptIds.length === 0 || completionIds.length === 0) refuse("prompt and completion need at least one token each");
    const length = promptIds.length + completionIds.length;
    if (length - 1 > maxPositions) refuse(`${length} tokens exceed the model's ${maxPositions} positions`);
    const outside = (id: number) => id < 0 || id >= vocabSize;
    const stray = promptIds.find(outside) ?? completionIds.find(outside);
    if (stray !== undefined) refuse(`token id ${stray} is outside the vocabulary of ${vocabSize}`);
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }

  #checkSignal({ kind, k, temperature }: Signal): void {
    const { vocabSize } = this.#config;
    if (!(temperature > 0)) throw new RetortError("InvalidArgument", `signal.temperature is ${temperature}; it must be above 0`);
    if (kind === "top_k" && !(Number.isInteger(k) && k >= 1 && k <= vocabSize)) {
      throw new RetortError("InvalidArgument", `signal.k is ${k}; top_k needs a whole number from 1 to the vocabulary's ${vocabSize}`);
    }
  }

  /** Sequences by length, so that little is padding, in batches within the token budget. */
  #batches(inputs: readonly ScoreInput[]): number[][] {
    const length = (i: number) => inputs[i]!.promptIds.length + inputs[i]!.completionIds.length - 1;
    const batches: number[][] = [];
    for (const i of inputs.map((_, i) => i).sort((a, b) => length(b) - length(a) || a - b)) {
      const last = batches.at(-1);
      if (last && (last.length + 1) * length(last[0]!) <= this.#options.batchTokens) last.push(i);
      else batches.push([i]);
    }
    return batches;
  }

  async #forward(inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
    const time = Math.max(...inputs.map(({ promptIds, completionIds }) => promptIds.length + completionIds.length - 1));
    const rows = inputs.reduce((sum, { completionIds }) => sum + completionIds.length, 0);
    const ids = new Int32Array(inputs.length * time);
    const positions = BigInt64Array.from({ length: ids.length }, (_, i) => BigInt(i % time));
    const places = new BigInt64Array(rows);
    const labels = new Int32Array(rows);
    let row = 0;
    inputs.forEach(({ promptIds, completionIds }, b) => {
      ids.set(promptIds, b * time);
      ids.set(completionIds.subarray(0, -1), b * time + promptIds.length);
      labels.set(completionIds, row);
      for (let n = 0; n < completionIds.length; n++) places[row++] = BigInt(b * time + promptIds.length - 1 + n);
    });
    const session = await this.#session(signal);
    const outputs = await session.run({
      ids: int32(ids, [inputs.length, time]),
      positions: { dtype: "int64", dims: [inputs.length, time], data: positions },
      rows: { dtype: "int64", dims: [rows], data: places },
      labels: int32(labels, [rows]),
      temperature: float32([signal.temperature], []),
    });
    return cut(outputs, inputs, signal, this.#config.vocabSize);
  }

  async #session(signal: Signal): Promise<Session> {
    const key = signal.kind === "full" ? "full" : `top_k/${signal.k}`;
    const known = this.#sessions.get(key);
    if (known) return known;
    const session = await Session.create(scoreGraph(this.#config, this.#weights, signal), this.#options);
    this.#sessions.set(key, session);
    return session;
  }
}

/** Each sequence's part of the outputs of one forward. */
function cut(outputs: Readonly<Record<string, Tensor>>, inputs: readonly ScoreInput[], signal: Signal, vocab: number): Score[] {
  const { k } = signal;
  let row = 0;
  return inputs.map(({ completionIds }) => {
    const [from, to] = [row, row + completionIds.length];
    row = to;
    const part = <T extends Float32Array | Int32Array>(name: string, width: number) =>
      outputs[name]!.data.slice(from * width, to * width) as T;
    const logprobs = part<Float32Array>("logprobs", 1);
    if (signal.kind === "full") return { signal, logprobs, full: part<Float32Array>("full", vocab) };
    const tail = k === vocab ? new Float32Array(to - from).fill(Number.NEGATIVE_INFINITY) : part<Float32Array>("tail", 1);
    return { signal, logprobs, ids: part<Int32Array>("topIds", k), topLogprobs: part<Float32Array>("top", k), tail };
  });
}
