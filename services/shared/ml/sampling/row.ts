import { RetortError } from "../../base/errors.js";
import { generator } from "../../base/random.js";
import { floatsOf, type Outputs, outputOf } from "../runtime/outputs.js";
import type { Completion, Piece, SampleRequest } from "./chunk.js";
import { negatedUniform } from "./draw.js";
import type { SamplingParams } from "./params.js";
import { type CachedRow, cachedLength, firstOf } from "./row-cache.js";
import type { EncodedRow } from "./row-prompts.js";

/** How the completions of a call are written. */
export interface RowSettings {
  readonly params: SamplingParams;
  /** Its stop tokens. */
  readonly stops: ReadonlySet<number>;
}

/** A completion that is being written. */
export class Row {
  readonly request: SampleRequest;
  /** What tells its prompt from others. */
  readonly promptKey: string;
  /** Position of the request in its call. */
  readonly index: number;
  readonly params: SamplingParams;
  /** What the model reads next. */
  unread: Int32Array;
  /** What it has read. */
  cached: CachedRow | undefined;
  /** What an encoder has read of the prompt. */
  encoded: EncodedRow | undefined;
  readonly #stops: ReadonlySet<number>;
  readonly #next: () => number;
  /** The numbers that tokens are drawn with, as far as they have been needed. */
  readonly #uniforms: number[] = [];
  readonly #ids: number[] = [];
  readonly #logprobs: number[] = [];
  readonly #samplingLogprobs: number[] = [];
  readonly #topIds: number[] = [];

  /** @param startId the token that an encoder-decoder's completions begin behind */
  constructor(request: SampleRequest, index: number, { params, stops }: RowSettings, startId: number | undefined) {
    this.request = request;
    this.promptKey = request.promptIds.join();
    this.index = index;
    this.params = params;
    this.#stops = stops;
    this.unread = startId === undefined ? request.promptIds : Int32Array.of(startId);
    this.#next = generator(request.seed);
  }

  /** Begins behind what was read of the beginning of its prompt; it reads the last token itself, to draw behind that. */
  beginBehind(read: CachedRow): void {
    const { promptIds } = this.request;
    this.cached = firstOf(read, promptIds.length - 1);
    this.unread = promptIds.slice(cachedLength(this.cached));
  }

  /** Its prompt, and what was drawn. */
  get text(): Int32Array {
    return Int32Array.from([...this.request.promptIds, ...this.#ids]);
  }

  /** How many tokens it may get. */
  get mostTokens(): number {
    return this.request.maxNewTokens ?? this.params.maxNewTokens;
  }

  /** How many tokens prompt and completion may come to. */
  get mostPositions(): number {
    return this.request.promptIds.length + this.mostTokens;
  }

  /** How many tokens it may still get. */
  get room(): number {
    return this.mostTokens - this.#ids.length;
  }

  /** How it has ended; undefined while it goes on. */
  get finish(): Completion["finish"] | undefined {
    const last = this.#ids.at(-1);
    if (last !== undefined && this.#stops.has(last)) return "stop";
    return this.room === 0 ? "length" : undefined;
  }

  /** The pair of numbers that the n-th token from here on is drawn with, negated as the graph wants them. */
  uniforms(n: number): readonly [block: number, token: number] {
    const at = 2 * (this.#ids.length + n);
    while (this.#uniforms.length <= at + 1) this.#uniforms.push(negatedUniform(this.#next()));
    return [this.#uniforms[at]!, this.#uniforms[at + 1]!];
  }

  /**
   * Takes what a run drew in one of its places, nothing behind its end, and gives what is new.
   *
   * @throws DataLoss where logits were not finite: every comparison fails then, and the first token would be drawn
   */
  take(outputs: Outputs, place: number): Piece {
    const before = this.#ids.length;
    const [ids, topIds] = [outputOf(outputs, "ids"), outputOf(outputs, "mostProbable")];
    const [logprobs, samplingLogprobs] = [floatsOf(outputs, "logprobs"), floatsOf(outputs, "samplingLogprobs")];
    const [steps, rows] = ids.dims as [number, number];
    const count = topIds.dims[2]!;
    for (let step = 0, i = place; step < steps && !this.finish; step++, i += rows) {
      const logprob = logprobs[i]!;
      if (!Number.isFinite(logprob))
        throw new RetortError(
          "DataLoss",
          `completion ${this.index}: the log-probability of token ${this.#ids.length} is ${logprob}; the model's logits are not finite: its weights are damaged, or its activations overflow`,
        );
      this.#ids.push(Number(ids.data[i]));
      this.#logprobs.push(logprob);
      this.#samplingLogprobs.push(samplingLogprobs[i]!);
      if (count) this.#topIds.push(...(topIds.data as Int32Array).subarray(i * count, (i + 1) * count));
    }
    this.unread = Int32Array.of(this.#ids.at(-1)!);
    return { index: this.index, ids: this.#ids.slice(before), logprobs: this.#logprobs.slice(before) };
  }

  /** What was written. */
  completion(): Completion {
    return {
      ids: Int32Array.from(this.#ids),
      logprobs: Float32Array.from(this.#logprobs),
      samplingLogprobs: Float32Array.from(this.#samplingLogprobs),
      ...(this.params.topIds ? { topIds: Int32Array.from(this.#topIds) } : {}),
      finish: this.finish ?? "length",
    };
  }
}
