import pLimit from "p-limit";
import type { RetortError } from "../shared/base/errors.js";
import { found } from "../shared/base/found.js";
import { threadCount } from "../shared/base/settings.js";
import type { WorkerHandle } from "../shared/base/workers.js";
import type { SamplingModel } from "../shared/flow/rollouts/sample-stream.js";
import type { HostOptions, HostSampling, ModelDescription, ModelHost, ModelSource, Outcome } from "../shared/ml/host/model-host.js";
import { sampleGroupsIn, sampleIn } from "../shared/ml/host/sample-in.js";
import { spawnModelHost } from "../shared/ml/host/spawn.js";
import type { EncodedReply, ReplyRequest } from "../shared/ml/host/texts.js";
import type { Piece, SampleRequest } from "../shared/ml/sampling/chunk.js";
import type { Score, Signal } from "../shared/ml/signals/score.js";
import type { ScoreInput } from "../shared/ml/signals/signal.js";
import type { ChatSettings } from "../shared/ml/text/encoder.js";
import type { StudentSettings } from "./config.js";

/** Most tokens of one forward, padding included. */
const batchTokens = 8192;

/** Without what another thread cannot be sent. */
const plainReply = (request: ReplyRequest): ReplyRequest => structuredClone(request);

/** A version of the weights that a task wants. */
export interface WantedWeights {
  /** Whether the model has it. */
  readonly isInUse: () => boolean;
  /** Brings the model to it, when nothing is sampled if it has another; undefined if it can't be had just now. */
  readonly use: () => Promise<number | undefined>;
  /** Whether nothing else may be sampled meanwhile, under whatever weights. */
  readonly isAlone: boolean;
}

/** The student's model, in a thread of its own. */
export class StudentModel implements SamplingModel {
  readonly #worker: WorkerHandle<ModelHost> = spawnModelHost();
  readonly #options: HostOptions;
  /** One after another: who samples begins when those before have begun, or its weights are there. */
  readonly #entry = pLimit(1);
  readonly #sampling = new Set<Promise<unknown>>();

  constructor({ device, threads, chunkTokens, maxRows, dtype }: StudentSettings) {
    this.#options = { device, threads: threadCount(threads), chunkTokens, maxRows, batchTokens, dtype };
  }

  /** Settles when the thread is lost by itself. */
  get crashed(): Promise<RetortError> {
    return this.#worker.crashed;
  }

  /** Opens a model. */
  open(source: ModelSource): Promise<ModelDescription> {
    return this.#worker.api.open(source, this.#options);
  }

  /** Takes other weights: see {@link ModelHost.useWeights}. */
  useWeights(directory: string): Promise<void> {
    return this.#worker.api.useWeights(directory);
  }

  encode(...[prompts, chat]: Parameters<SamplingModel["encode"]>): Promise<Int32Array[]> {
    return this.#worker.api.encode(prompts, chat);
  }

  /** What a chat template writes between turns; see {@link ModelHost.encodeReplies}. */
  encodeReplies(requests: readonly ReplyRequest[], chat: ChatSettings): Promise<EncodedReply[]> {
    return this.#worker.api.encodeReplies(requests.map(plainReply), chat);
  }

  completionTexts(...[sequences]: Parameters<SamplingModel["completionTexts"]>): Promise<string[]> {
    return this.#worker.api.completionTexts(sequences);
  }

  /** Completes prompts, beside what else is written just now; `onPieces` hears of what is written as it is written. */
  async sample(requests: readonly SampleRequest[], sampling: HostSampling, onPieces?: (pieces: readonly Piece[]) => void) {
    const begun = await this.#entry(async () => ({ done: this.#begin(() => sampleIn(this.#worker.api, requests, sampling, onPieces)) }));
    return begun.done;
  }

  /**
   * Runs work that samples under certain weights, which stay until it has ended. Works under the same weights go on side by
   * side; one that needs others waits until all before it have ended, and those that come later wait for it.
   *
   * @returns undefined if the weights can't be had just now
   */
  async under<T>({ isInUse, use, isAlone }: WantedWeights, work: (version: number) => Promise<T>): Promise<T | undefined> {
    const begun = await this.#entry(async () => {
      if (isAlone || !isInUse()) await Promise.allSettled(this.#sampling);
      const version = await use();
      if (version === undefined) return undefined;
      const done = this.#begin(() => work(version));
      if (isAlone) await Promise.allSettled([done]);
      return { done };
    });
    return begun?.done;
  }

  /** Scores completions, when nothing is sampled: see {@link ModelHost.score}. */
  async score(inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
    const alone = { isInUse: () => true, use: async () => 0, isAlone: true };
    return found(await this.under(alone, () => this.#worker.api.score(inputs, signal)), "the scores");
  }

  #begin<T>(work: () => Promise<T>): Promise<T> {
    const done = work().finally(() => this.#sampling.delete(done));
    this.#sampling.add(done);
    return done;
  }

  /** Completes groups of prompts together, for work that runs under its weights; see {@link ModelHost.sampleGroups}. */
  sampleGroups(
    groups: readonly (readonly SampleRequest[])[],
    sampling: HostSampling,
    onWritten: (group: number, outcomes: readonly Outcome[]) => void,
  ) {
    return sampleGroupsIn(this.#worker.api, groups, sampling, onWritten);
  }

  /** Ends the thread; calls in progress reject as Cancelled at once. */
  close(): Promise<void> {
    return this.#worker.close();
  }
}
