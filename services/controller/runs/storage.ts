import { lstat, readdir, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { isWithin } from "../../shared/base/paths.js";
import type { Streams } from "../../shared/base/streams/connection.js";
import { checkpointName, checkpointStep } from "../../shared/flow/runs/checkpoint-name.js";
import { isOver, type RunStore } from "../../shared/flow/runs/run-store.js";
import { deleteRun } from "../../shared/flow/streams.js";
import { isModelFile } from "../../shared/flow/weights/sendable.js";
import type { WeightStore } from "../../shared/flow/weights/store.js";
import { type Run, RunState } from "../../shared/gen/retort/v1/run_pb.js";

/** Where runs keep what they take up. */
export interface RunStorageOptions {
  readonly dataDir: string;
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly store: WeightStore;
}

/** How long the size of a run is taken to be what it was, in milliseconds: one that is over, and one that is going. */
const rememberedMs = { over: 600_000, going: 5000 };

/** What runs take up: their directories, their stored weights and what NATS keeps of them. */
export class RunStorage {
  readonly #options: RunStorageOptions;
  readonly #sizes = new Map<string, { readonly bytes: number; readonly until: number }>();

  constructor(options: RunStorageOptions) {
    this.#options = options;
  }

  /** Bytes of a run's directory, stored weights and trained student, as far as they can be seen from here. */
  async bytes(run: Run): Promise<number> {
    const { runId, output, state } = run;
    const known = this.#sizes.get(runId);
    if (known && known.until > Date.now()) return known.bytes;
    const directory = this.#directory(runId);
    const elsewhere = output && !isWithin(resolve(output), directory) ? await bytesUnder(output) : 0;
    const weights = await this.#options.store.bytes(runId).catch(() => 0);
    const bytes = (await bytesUnder(directory)) + elsewhere + weights;
    this.#sizes.set(runId, { bytes, until: Date.now() + (isOver(state) ? rememberedMs.over : rememberedMs.going) });
    return bytes;
  }

  /**
   * Deletes the stored weights of a run that is over. Where its student can be read from its output or its newest
   * checkpoint, all of them; else the newest version stays, and version 0, with which config and tokenizer come.
   */
  async release(run: Run): Promise<void> {
    const { store, runs } = this.#options;
    if (await modelOf(run)) await store.deleteAll(run.runId);
    else {
      const versions = await store.list(run.runId);
      const newest = (await runs.policy(run.runId))?.version ?? versions.at(-1);
      for (const version of versions) if (version !== 0 && version !== newest) await store.delete(run.runId, version);
      await store.settle(run.runId);
    }
    this.#sizes.delete(run.runId);
  }

  /** True if anything is left of a run, be it without a record. */
  async knows(runId: string): Promise<boolean> {
    const entries = await readdir(this.#directory(runId)).catch(() => []);
    return entries.some((name) => name !== studentName) || (await this.#options.runs.knows(runId));
  }

  /**
   * Deletes a run: its weights, its directory, its records. The trained student stays, wherever it is; the run's own record
   * goes last, so that what fails can be tried again.
   *
   * @param run undefined if its record is lost
   * @returns the bytes that are free again
   */
  async remove(runId: string, run: Run | undefined): Promise<number> {
    const { store, streams, runs } = this.#options;
    const directory = this.#directory(runId);
    const before = (await bytesUnder(directory)) + (await store.bytes(runId).catch(() => 0));
    await store.deleteAll(runId);
    await removeExcept(directory, resolve(run?.output || join(directory, studentName)));
    await deleteRun(streams, runId);
    await runs.delete(runId);
    this.#sizes.delete(runId);
    return Math.max(0, before - (await bytesUnder(directory)));
  }

  #directory(runId: string): string {
    return join(resolve(this.#options.dataDir), "runs", runId);
  }
}

/** The trained student's place in a run's directory, unless its spec names another. */
const studentName = "student";

/** The directory of a run's trained student, or of its newest checkpoint if it is over without; undefined if neither can be read from here. */
export async function modelOf({ output, state, checkpoint }: Run): Promise<string | undefined> {
  if (output && (await hasModel(output))) return output;
  return isOver(state) && checkpoint?.path && (await hasModel(checkpoint.path)) ? checkpoint.path : undefined;
}

/** The directory of a run's model as it was after a step, of its trained student, its best one or a checkpoint; undefined if there is none to be read from here. */
export async function modelAfter({ output, state, step, checkpoint, best }: Run, wanted: number): Promise<string | undefined> {
  const places = [
    ...(output && state === RunState.SUCCEEDED && step === wanted ? [output] : []),
    ...(checkpoint?.path ? [join(dirname(checkpoint.path), checkpointName(wanted))] : []),
    ...(best?.step === wanted ? [best.path] : []),
  ];
  for (const place of places) if (await hasModel(place)) return place;
  return undefined;
}

/** The steps of a run whose checkpoints can be read from here. */
export async function checkpointSteps({ checkpoint }: Run): Promise<number[]> {
  const names = checkpoint?.path ? await readdir(dirname(checkpoint.path)).catch(() => []) : [];
  return names.flatMap((name) => checkpointStep(name) ?? []).sort((a, b) => a - b);
}

/** True if a directory holds a model or an adapter. */
export async function hasModel(directory: string): Promise<boolean> {
  const names: string[] = await readdir(directory).catch(() => []);
  const described = names.includes("config.json") || names.includes("adapter_config.json");
  return described && names.some((name) => name.endsWith(".safetensors") && isModelFile(name));
}

/** Bytes of the files under a path; links are not followed. What goes away meanwhile, or cannot be read, counts as nothing. */
async function bytesUnder(path: string): Promise<number> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch(() => []);
  let sum = 0;
  for (const entry of entries)
    if (entry.isFile())
      sum += await stat(join(entry.parentPath ?? entry.path, entry.name)).then(
        ({ size }) => size,
        () => 0,
      );
  return sum;
}

/** Removes a directory with all that is in it, except one path. A link is removed, not what it leads to. */
async function removeExcept(path: string, kept: string): Promise<void> {
  if (path === kept) return;
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isDirectory() || !isWithin(kept, path)) return rm(path, { recursive: true, force: true });
  for (const name of await readdir(path)) await removeExcept(join(path, name), kept);
  // It stays if what is kept is in it.
  await rmdir(path).catch(() => {});
}
