import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { WorkerClient } from "../../shared/base/workers.js";
import { type BestFigure, bestFigures } from "../../shared/flow/runs/evaluation.js";
import { type CheckpointState, directoryName, readCheckpoints, writeCheckpoint } from "./checkpoints.js";
import type { TrainHost } from "./train-host.js";

/** A checkpoint with the figure it was kept for. */
export interface Best extends CheckpointState {
  readonly metric: BestFigure;
  readonly value: number;
}

/**
 * Keeps the checkpoint of the version with the best figure of an evaluation, in a directory of its own that the run's
 * other checkpoints do not crowd out. What an earlier life of the run kept is still the one to beat.
 */
export class BestKeeper {
  readonly #root: string;
  readonly #metric: BestFigure;

  constructor(root: string, metric: BestFigure) {
    this.#root = root;
    this.#metric = metric;
  }

  get metric(): BestFigure {
    return this.#metric;
  }

  /** Saves the host's weights if `value` is better than that of the one kept, then lets go of that. Gives the new best. */
  async consider(
    host: WorkerClient<TrainHost>,
    step: number,
    value: number,
  ): Promise<(Omit<Best, "files"> & { readonly path: string }) | undefined> {
    const kept = (await readCheckpoints<Best>(this.#root)).filter(({ metric }) => metric === this.#metric);
    if (!Number.isFinite(value) || kept.some((other) => !this.#better(value, other.value))) return undefined;
    const path = join(this.#root, directoryName(step));
    const state = { step, metric: this.#metric, value };
    const digest = await writeCheckpoint(host, path, state);
    for (const old of kept) if (old.path !== path) await rm(old.path, { recursive: true, force: true });
    return { ...state, digest, path };
  }

  #better(value: number, other: number): boolean {
    return bestFigures[this.#metric] === "highest" ? value > other : value < other;
  }
}
