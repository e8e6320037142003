import { rm } from "node:fs/promises";
import { join } from "node:path";
import { found } from "../base/found.js";
import type { Placed, WeightStore } from "../flow/weights/store.js";
import type { WeightsManifest } from "../gen/retort/v1/flow_pb.js";

/** Which version: learners that take over make versions of the same numbers again. */
export interface VersionId {
  readonly version: number;
  readonly fence: bigint;
}

/** A version that is on its way, or here. */
interface Held extends VersionId {
  readonly directory: string;
  /** Undefined if it was superseded before its turn. */
  readonly placed: Promise<Placed | undefined>;
  /** Someone waits for it, or has it. */
  isTaken: boolean;
}

/** A version that someone works with. */
export interface TakenVersion {
  readonly directory: string;
  readonly manifest: WeightsManifest;
  /** As of {@link Placed}. */
  readonly checked: Promise<void>;
}

/** Settles when nothing reads or writes a version's files any more, whatever came of it. */
const settled = ({ placed }: Held): Promise<void> => placed.then((version) => version?.checked).catch(() => {});

/**
 * The weights of a run's versions as files of this process: the one in use, and the one that was announced last, which is
 * fetched before it is asked for. One is fetched at a time.
 */
export class HeldVersions {
  readonly #store: WeightStore;
  readonly #runId: string;
  readonly #root: string;
  readonly #isWeights: (name: string) => boolean;
  #held: Held[] = [];
  readonly #dropping = new Set<Promise<void>>();
  #count = 0;

  /**
   * @param root directory of this process alone
   * @param isWeights the files of a version that are fetched
   */
  constructor(store: WeightStore, runId: string, root: string, isWeights: (name: string) => boolean) {
    this.#store = store;
    this.#runId = runId;
    this.#root = root;
    this.#isWeights = isWeights;
  }

  /** Begins to fetch a version, in place of one that no task has asked for. The task that takes it is told what goes wrong. */
  ahead(id: VersionId): void {
    if (!this.#find(id)) this.#fetch(id);
  }

  /**
   * A version's weights, once they are there. They stay until another is {@link used}, or it turns out that they are damaged.
   *
   * @throws as `place` of a store
   */
  async take(id: VersionId): Promise<TakenVersion> {
    const held = this.#find(id) ?? this.#fetch(id);
    held.isTaken = true;
    const { directory, placed } = held;
    const orDrop = async (error: unknown): Promise<never> => {
      await this.#drop(held);
      throw error;
    };
    const { manifest, checked: compared } = found(await placed.catch(orDrop), "a version that is waited for");
    const checked = compared.catch(orDrop);
    checked.catch(() => {});
    return { directory, manifest, checked };
  }

  /** The version in a directory is in use: those before it go. */
  async used(directory: string): Promise<void> {
    const at = this.#held.findIndex((held) => held.directory === directory);
    for (const held of this.#held.slice(0, Math.max(0, at))) await this.#drop(held);
  }

  /** Lets go of all versions: when it is done, nothing writes their files any more. */
  async release(): Promise<void> {
    for (const held of this.#held) void this.#drop(held);
    await Promise.allSettled(this.#dropping);
  }

  #find({ version, fence }: VersionId): Held | undefined {
    return this.#held.find((held) => held.version === version && held.fence === fence);
  }

  #fetch(id: VersionId): Held {
    const directory = join(this.#root, `${id.version}-${this.#count++}`);
    const before = this.#held.at(-1);
    for (const held of this.#held) if (!held.isTaken) void this.#drop(held);
    const placed = (before ? settled(before) : Promise.resolve()).then(() => {
      // It was superseded while it waited for its turn.
      if (!this.#held.includes(held)) return undefined;
      return this.#store.place(this.#runId, id.version, directory, this.#isWeights);
    });
    placed.catch(() => {});
    const held: Held = { ...id, directory, placed, isTaken: false };
    this.#held.push(held);
    return held;
  }

  #drop(held: Held): Promise<void> {
    this.#held = this.#held.filter((other) => other !== held);
    const dropped = settled(held).then(() => rm(held.directory, { recursive: true, force: true }));
    this.#dropping.add(dropped);
    const forget = () => this.#dropping.delete(dropped);
    dropped.then(forget, forget);
    return dropped;
  }
}
