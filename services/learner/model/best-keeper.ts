import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { WorkerClient } from "../../shared/base/workers.js";
import { checkpointName } from "../../shared/flow/runs/checkpoint-name.js";
import { type BestFigure, bestFigures } from "../../shared/flow/runs/evaluation.js";
import { checkpointState, readCheckpoints } from "./checkpoint-state.js";
import { writeCheckpoint } from "./checkpoints.js";
import type { TrainHost } from "./train-host.js";

/** A version that has become the best, and where it is kept. */
export interface Best {
  readonly step: number;
  readonly metric: BestFigure;
  readonly value: number;
  /** SHA-256 of the weights, hexadecimal. */
  readonly digest: string;
  readonly path: string;
}

/** The state of a checkpoint that was kept for a figure. */
const bestState = (metric: BestFigure) => checkpointState.extend({ metric: z.literal(metric), value: z.number() });

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

  /** The figure that decides. */
  get metric(): BestFigure {
    return this.#metric;
  }

  /** Saves the host's weights if `value` is better than that of the one kept, then deletes that one. Returns the new best, if it is. */
  async consider(host: WorkerClient<TrainHost>, step: number, value: number): Promise<Best | undefined> {
    const kept = await readCheckpoints(this.#root, bestState(this.#metric));
    if (!Number.isFinite(value) || kept.some((other) => !this.#better(value, other.value))) return undefined;
    const path = join(this.#root, checkpointName(step));
    const state = { step, metric: this.#metric, value };
    const digest = await writeCheckpoint(host, path, state);
    for (const old of kept) if (old.path !== path) await rm(old.path, { recursive: true, force: true });
    return { ...state, digest, path };
  }

  #better(value: number, other: number): boolean {
    return bestFigures[this.#metric] === "highest" ? value > other : value < other;
  }
}
