import type { RetortError } from "../shared/base/errors.js";
import { found } from "../shared/base/found.js";
import { threadCount } from "../shared/base/settings.js";
import type { WorkerHandle } from "../shared/base/workers.js";
import { type WantedWeights, WeightsTurns } from "../shared/codec/weights-turns.js";
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

/** The student's model, in a thread of its own. */
export class StudentModel implements SamplingModel {
  readonly #worker: WorkerHandle<ModelHost> = spawnModelHost();
  readonly #options: HostOptions;
  readonly #turns = new WeightsTurns();

  constructor({ device, threads, chunkTokens, maxRows, dtype }: StudentSettings) {
    this.#options = { device, threads: threadCount(threads), chunkTokens, maxRows, batchTokens, dtype, followsVersions: true };
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
  sample(requests: readonly SampleRequest[], sampling: HostSampling, onPieces?: (pieces: readonly Piece[]) => void) {
    return this.#turns.beside(() => sampleIn(this.#worker.api, requests, sampling, onPieces));
  }

  /** Runs work that samples under certain weights: see {@link WeightsTurns.under}. */
  under<T>(wanted: WantedWeights, work: (version: number) => Promise<T>): Promise<T | undefined> {
    return this.#turns.under(wanted, work);
  }

  /** Scores completions, when nothing is sampled: see {@link ModelHost.score}. */
  async score(inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
    const alone = { isInUse: () => true, use: async () => 0, isAlone: true };
    return found(await this.under(alone, () => this.#worker.api.score(inputs, signal)), "the scores");
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
