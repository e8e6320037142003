import { createHash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../base/errors.js";
import type { Log } from "../base/log.js";
import { averageFolder, isOfAverage } from "../flow/runs/follow.js";
import type { RunStore } from "../flow/runs/run-store.js";
import type { WeightStore } from "../flow/weights/store.js";
import type { WeightsManifest } from "../gen/retort/v1/flow_pb.js";
import type { ModelSource } from "../ml/host/model-host.js";
import { isWeightsFile, weightsFilesOf } from "../ml/models/checkpoint/open.js";
import { publishedFiles } from "../ml/models/trainable.js";
import { HeldVersions, type TakenVersion, type VersionId } from "./held-versions.js";

/** How often a wait looks without an announcement, and when it is first logged. */
const lookMs = 1000;
const tellAfterMs = 60_000;

/** What takes new weights, by the directory that they are in: the model's worker. */
export type UseWeights = (directory: string) => Promise<void>;

/** Where a policy has its weights from, and where it puts them. */
export interface PolicyPlaces {
  readonly runId: string;
  readonly store: WeightStore;
  /** Directory of this process alone; what an earlier one left there is removed. */
  readonly directory: string;
  /** The version that will be asked for next, by the newest that was announced: it is fetched ahead. Default: the newest itself. */
  readonly ahead?: (newest: number) => number;
  /** Whether the model takes the average of the weights instead. Default false. */
  readonly average?: boolean;
}

/**
 * Keeps a model at a policy version that a task allows: a student's, or a teacher's that follows the student. A version is loaded
 * once; the newest one that was announced is preferred, and is fetched while the model is still busy with the one before.
 */
export class Policy {
  readonly #runId: string;
  readonly #runs: RunStore;
  readonly #store: WeightStore;
  readonly #use: UseWeights;
  readonly #log: Log;
  readonly #announcements = new EventEmitter().setMaxListeners(0);
  #latest = -1;
  /** Of the learner that announced it. */
  #fence = 0n;
  readonly #directory: string;
  readonly #ahead: (newest: number) => number;
  readonly #average: boolean;
  /** Undefined before the first version is there. */
  #held: HeldVersions | undefined;
  /** Of a run that trains an adapter: the digest of the base model's weights, and the last learner that had them. */
  #base: { readonly digest: string; readonly fence: bigint } | undefined;
  /** The version that the model has now; -1 before the first. */
  version = -1;
  /** SHA-256 of the digests of its files, hexadecimal. */
  digest = "";

  constructor(
    { runId, store, directory, ahead = (newest) => newest, average = false }: PolicyPlaces,
    runs: RunStore,
    use: UseWeights,
    log: Log,
  ) {
    this.#runId = runId;
    this.#runs = runs;
    this.#store = store;
    this.#directory = directory;
    this.#ahead = ahead;
    this.#average = average;
    this.#use = use;
    this.#log = log;
  }

  /** Follows the announcements until the signal. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const { version, fence } of this.#runs.watchPolicy(this.#runId, signal)) {
      // A learner that was replaced may still write.
      if (fence < this.#fence) continue;
      // One that resumed from a checkpoint makes versions of these numbers again: what is loaded, or being loaded, may be
      // another.
      if (fence > this.#fence) this.version = -1;
      this.#fence = fence;
      this.#latest = version;
      const next = this.#ahead(version);
      if (next !== this.version) this.#held?.ahead({ version: next, fence });
      this.#announcements.emit("announcement");
    }
  }

  /** Removes what is held, once nothing writes it any more: nothing may use it. */
  async release(): Promise<void> {
    await this.#held?.release();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** The first version as a model: config and tokenizer come with it. Waits until it is there. */
  async first(signal: AbortSignal): Promise<ModelSource> {
    await rm(this.#directory, { recursive: true, force: true });
    for (let [startedMs, tellMs] = [performance.now(), tellAfterMs]; !signal.aborted; ) {
      const manifest = await this.#store.manifest(this.#runId, 0);
      const source = manifest && (await this.#fetchFirst(manifest));
      if (source) return source;
      await sleep(50);
      if (performance.now() - startedMs < tellMs) continue;
      this.#log.warn(`the run's first weights have not come for ${tellMs / 1000} s: is the learner running, with this weight store?`);
      tellMs *= 2;
    }
    throw new RetortError("Cancelled", "stopped before the run's first weights were there");
  }

  /** Undefined if it is gone: a learner that takes over stores it again, and it is away for a moment. */
  async #fetchFirst(manifest: WeightsManifest): Promise<ModelSource | undefined> {
    const weights = weightsFilesOf(manifest.files.map(({ name }) => name));
    const isAdapter = weights[0] === publishedFiles.adapter;
    const directory = join(this.#directory, "first");
    const base = join(this.#directory, "base");
    const isOfAdapter = (name: string) => isAdapter && name.startsWith("adapter_");
    const isOfBase = (name: string) => !isOfAdapter(name) && !isOfAverage(name);
    try {
      if (isAdapter) await this.#store.fetch(this.#runId, 0, directory, isOfAdapter);
      await this.#store.fetch(this.#runId, 0, isAdapter ? base : directory, isOfBase);
    } catch (error) {
      if (RetortError.from(error).code !== "NotFound") throw error;
      return undefined;
    }
    if (isAdapter) this.#base = { digest: baseDigest(manifest), fence: manifest.fence };
    const isOwn = isAdapter ? (name: string) => name === publishedFiles.adapter : isWeightsFile;
    this.#held = new HeldVersions(this.#store, this.#runId, join(this.#directory, "versions"), this.#average ? isOfAverage : isOwn);
    return isAdapter ? { directory, base } : { directory };
  }

  /**
   * Waits until the learner with this fence has announced a version of at least `min`. It may wait long: the version may
   * still be in training. Nothing else waits for it: it is called before the model is taken.
   *
   * @returns false if no one waits for the task any more: a later learner has taken the run over, or this one has announced a
   *   version beyond `max`, which it makes when it has what it asked for
   * @throws Cancelled when the signal comes first
   */
  async announced(fence: bigint, min: number, max: number, signal: AbortSignal): Promise<boolean> {
    for (let waitedMs = 0, tellMs = tellAfterMs; ; waitedMs += lookMs) {
      if (signal.aborted) throw new RetortError("Cancelled", `stopped while waiting for policy version ${min} of run ${this.#runId}`);
      if (this.#fence > fence || (this.#fence === fence && this.#latest > max)) return false;
      if (this.#fence === fence && this.#latest >= min) return true;
      if (waitedMs >= tellMs) {
        this.#log.warn({ min, fence, latest: this.#latest }, `a task has waited ${waitedMs / 1000} s for policy version ${min}`);
        tellMs *= 2;
      }
      await once(this.#announcements, "announcement", { signal: AbortSignal.any([signal, AbortSignal.timeout(lookMs)]) }).catch(() => {});
    }
  }

  /** Whether the model has the newest announced version up to `max`. */
  isInUse(max: number): boolean {
    return Math.min(this.#latest, max) === this.version;
  }

  /**
   * Brings the model to the newest announced version within [min, max].
   *
   * @returns undefined if there is none just now, since another was announced meanwhile: wait for {@link announced} again
   */
  async use(min: number, max: number): Promise<number | undefined> {
    const target = Math.min(this.#latest, max);
    if (target < min) return undefined;
    return this.isInUse(max) || (await this.#load(target)) ? target : undefined;
  }

  async #load(version: number): Promise<boolean> {
    const fence = this.#fence;
    const held = this.#held;
    if (!held) throw new RetortError("FailedPrecondition", `run ${this.#runId}: no version can be used before the first is there`);
    try {
      await this.#checkBase(fence);
      const { directory, manifest } = await this.#takeOver(held, { version, fence });
      this.digest = versionDigest(manifest, this.#average);
      // A large file takes long to delete; nothing waits for that.
      this.#clear(held, directory).catch((error: unknown) =>
        this.#log.warn({ err: error }, "files of an old version could not be deleted"),
      );
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

  /** Gives the model a version while its digests are compared: it has the model to itself until both are done. */
  async #takeOver(held: HeldVersions, id: VersionId): Promise<TakenVersion> {
    const taken = await held.take(id);
    const { directory, checked } = taken;
    // What the model has from now on is no version until it is known to be whole.
    this.version = -1;
    const [used, whole] = await Promise.allSettled([this.#use(this.#average ? join(directory, averageFolder) : directory), checked]);
    // A damaged file may be why it couldn't be used.
    for (const outcome of [whole, used]) if (outcome.status === "rejected") throw outcome.reason;
    return taken;
  }

  /** Deletes what is held besides the version in use. */
  async #clear(held: HeldVersions, directory: string): Promise<void> {
    await held.used(directory);
    // Nothing but an adapter's base model is read of the first version any more.
    if (!this.#base) await rm(join(this.#directory, "first"), { recursive: true, force: true });
  }

  /** A learner that begins a run again may have found another base model. @throws Internal if it has, so that this process is started again */
  async #checkBase(fence: bigint): Promise<void> {
    if (!this.#base || this.#base.fence === fence) return;
    const manifest = await this.#store.manifest(this.#runId, 0);
    // It is being stored.
    if (!manifest) throw new RetortError("NotFound", `version 0 of run ${this.#runId} is being replaced`);
    if (baseDigest(manifest) !== this.#base.digest)
      throw new RetortError("Internal", `run ${this.#runId} has another base model now than the one that this process has loaded`);
    this.#base = { digest: this.#base.digest, fence };
  }
}

/** What tells a version's weights, or their average, from any other's. */
function versionDigest({ files }: WeightsManifest, average: boolean): string {
  const isWeights = (name: string) => (average ? isOfAverage(name) : weightsFilesOf([name]).length > 0);
  const hash = createHash("sha256");
  for (const { name, digest } of files) if (isWeights(name)) hash.update(`${name} ${digest}\n`);
  return hash.digest("hex");
}

/** Digest of the weights of the model that an adapter is put on. */
const baseDigest = ({ files }: WeightsManifest): string =>
  files
    .filter(({ name }) => isWeightsFile(name))
    .map(({ digest }) => digest)
    .join();
