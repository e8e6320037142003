import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../shared/base/errors.js";
import type { FileBytes } from "../shared/base/file-bytes.js";
import type { Log } from "../shared/base/log.js";
import type { RunStore } from "../shared/flow/runs/state.js";
import type { WeightStore, WeightsFiles } from "../shared/flow/weights/store.js";

/** What takes new weights: the model's worker. */
export type UseWeights = (bytes: FileBytes) => Promise<void>;

/**
 * Keeps the sampler at a policy version that a task allows. A version is loaded once; the newest one that was announced
 * is preferred.
 */
export class Policy {
  readonly #runId: string;
  readonly #runs: RunStore;
  readonly #store: WeightStore;
  readonly #use: UseWeights;
  readonly #log: Log;
  #latest = -1;
  /** Of the learner that announced it. */
  #fence = 0n;
  /** The version that the sampler has now; -1 before the first. */
  version = -1;

  constructor(runId: string, runs: RunStore, store: WeightStore, use: UseWeights, log: Log) {
    this.#runId = runId;
    this.#runs = runs;
    this.#store = store;
    this.#use = use;
    this.#log = log;
  }

  /** Follows the announcements until the signal. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const { version, fence } of this.#runs.watchPolicy(this.#runId, signal)) {
      // A learner that resumed from a checkpoint makes versions of these numbers anew: what is loaded, or being loaded, may
      // be another.
      if (fence !== this.#fence) this.version = -1;
      this.#fence = fence;
      this.#latest = version;
    }
  }

  /** The files of the first version: config and tokenizer come with it. Waits until it is there. */
  async first(signal: AbortSignal): Promise<WeightsFiles> {
    while (!signal.aborted) {
      if (await this.#store.manifest(this.#runId, 0)) {
        const files = await this.#store.get(this.#runId, 0).catch((error: unknown) => {
          // A learner that takes over stores it anew: it is away for a moment.
          if (RetortError.from(error).code !== "NotFound") throw error;
        });
        if (files) return files;
      }
      await sleep(50);
    }
    throw new RetortError("Cancelled", "stopped before the run's first weights were there");
  }

  /**
   * Brings the sampler to the newest announced version within [min, max].
   *
   * @throws DeadlineExceeded if no such version is announced in time, Cancelled when the signal comes first; either way
   *   the task goes back and is tried again
   */
  async ensure(min: number, max: number, timeoutMs: number, signal: AbortSignal): Promise<number> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      if (signal.aborted) throw new RetortError("Cancelled", `stopped while waiting for a policy version in ${min}..${max}`);
      const target = Math.min(this.#latest, max);
      if (target >= min && target === this.version) return target;
      if (target >= min && (await this.#load(target))) return target;
      if (Date.now() > deadline) {
        throw new RetortError(
          "DeadlineExceeded",
          `waited ${timeoutMs} ms for a policy version in ${min}..${max} of run ${this.#runId}; the newest announced is ${this.#latest}`,
        );
      }
      await sleep(5);
    }
  }

  async #load(version: number): Promise<boolean> {
    const fence = this.#fence;
    try {
      const files = await this.#store.get(this.#runId, version);
      await this.#use(files.get("model.safetensors")!);
    } catch (error) {
      // It may have been deleted since it was announced; a newer announcement is then on its way.
      if (RetortError.from(error).code !== "NotFound") throw error;
      this.#log.debug({ version }, "the announced version is gone");
      await sleep(20);
      return false;
    }
    if (fence !== this.#fence) return false;
    this.version = version;
    return true;
  }
}
