import type { RetortError } from "../shared/base/errors.js";
import { threadCount } from "../shared/base/settings.js";
import type { WorkerHandle } from "../shared/base/workers.js";
import type { SamplingModel } from "../shared/flow/rollouts/sample-stream.js";
import type { HostOptions, HostSampling, ModelDescription, ModelHost, ModelSource } from "../shared/ml/host/model-host.js";
import { sampleIn } from "../shared/ml/host/sample-in.js";
import { spawnModelHost } from "../shared/ml/host/spawn.js";
import type { Piece, SampleRequest } from "../shared/ml/sampling/chunk.js";
import type { StudentSettings } from "./config.js";
import { WeightsLock } from "./weights-lock.js";

/** Most tokens of one forward, padding included. */
const batchTokens = 8192;

/** The student's model, in a thread of its own. */
export class StudentModel implements SamplingModel {
  readonly #worker: WorkerHandle<ModelHost> = spawnModelHost();
  readonly #options: HostOptions;
  /** Who has its weights: whatever samples, and who changes them. */
  readonly weights = new WeightsLock();
  /** Most sequences that are written together. */
  readonly maxRows: number;

  constructor({ device, threads, chunkTokens, maxRows, dtype }: StudentSettings) {
    this.maxRows = maxRows;
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

  completionTexts(...[sequences]: Parameters<SamplingModel["completionTexts"]>): Promise<string[]> {
    return this.#worker.api.completionTexts(sequences);
  }

  /** Completes prompts with the weights that it has; `onPieces` hears of what is written as it is written. */
  sample(requests: readonly SampleRequest[], sampling: HostSampling, onPieces: (pieces: readonly Piece[]) => void) {
    return this.weights.reading(() => this.sampleNow(requests, sampling, onPieces));
  }

  /** As {@link StudentModel.sample}, for a caller that has the weights already. */
  sampleNow(requests: readonly SampleRequest[], sampling: HostSampling, onPieces?: (pieces: readonly Piece[]) => void) {
    return sampleIn(this.#worker.api, requests, sampling, onPieces);
  }

  /** Ends the thread at once; calls in progress reject as Cancelled. */
  close(): Promise<void> {
    return this.#worker.terminate();
  }
}
