import pLimit from "p-limit";
import type { RetortError } from "../shared/base/errors.js";
import { ownBuffers } from "../shared/base/file-bytes.js";
import { threadCount } from "../shared/base/settings.js";
import { moved, type WorkerHandle } from "../shared/base/workers.js";
import type { SamplingModel } from "../shared/flow/rollouts/sample-stream.js";
import type { WeightsFiles } from "../shared/flow/weights/store.js";
import type { HostOptions, HostSampling, ModelDescription, ModelHost } from "../shared/ml/host/model-host.js";
import { sampleIn } from "../shared/ml/host/sample-in.js";
import { spawnModelHost } from "../shared/ml/host/spawn.js";
import type { Piece, SampleRequest } from "../shared/ml/sampling/chunk.js";
import type { StudentSettings } from "./config.js";

/** Most tokens of one forward, padding included. */
const batchTokens = 8192;

/** The student's model, in a thread of its own. */
export class StudentModel implements SamplingModel {
  readonly #worker: WorkerHandle<ModelHost> = spawnModelHost();
  readonly #options: HostOptions;
  /** Runs one thing at a time: calls into the model, and what must have it for itself. */
  readonly exclusive = pLimit(1);

  constructor({ device, threads, chunkTokens, maxRows, dtype }: StudentSettings) {
    this.#options = { device, threads: threadCount(threads), chunkTokens, maxRows, batchTokens, dtype };
  }

  /** Settles when the thread is lost by itself. */
  get crashed(): Promise<RetortError> {
    return this.#worker.crashed;
  }

  /** Opens a model directory. */
  openDirectory(directory: string): Promise<ModelDescription> {
    return this.#worker.api.open({ directory }, this.#options);
  }

  /** Opens a model of its files, which the thread takes over. */
  openFiles(files: WeightsFiles): Promise<ModelDescription> {
    return this.#worker.api.open(moved({ files: Object.fromEntries(files) }, buffersOf(files)), this.#options);
  }

  /** Takes other weights: the files of a version, which the thread takes over. */
  useWeights(files: WeightsFiles): Promise<void> {
    return this.#worker.api.useWeights(moved(Object.fromEntries(files), buffersOf(files)));
  }

  encode(...[prompts, chat]: Parameters<SamplingModel["encode"]>): Promise<Int32Array[]> {
    return this.#worker.api.encode(prompts, chat);
  }

  completionTexts(...[sequences]: Parameters<SamplingModel["completionTexts"]>): Promise<string[]> {
    return this.#worker.api.completionTexts(sequences);
  }

  /** Completes prompts when nothing else has the model; `onPieces` hears of what is written as it is written. */
  sample(requests: readonly SampleRequest[], sampling: HostSampling, onPieces: (pieces: readonly Piece[]) => void) {
    return this.exclusive(() => this.sampleNow(requests, sampling, onPieces));
  }

  /** As {@link StudentModel.sample}, for a caller that has the model already. */
  sampleNow(requests: readonly SampleRequest[], sampling: HostSampling, onPieces?: (pieces: readonly Piece[]) => void) {
    return sampleIn(this.#worker.api, requests, sampling, onPieces);
  }

  /** Ends the thread at once; calls in progress reject as Cancelled. */
  close(): Promise<void> {
    return this.#worker.terminate();
  }
}

const buffersOf = (files: WeightsFiles): ArrayBufferLike[] => [...files.values()].flatMap(ownBuffers);
