import { RetortError } from "../../base/errors.js";
import type { Streams } from "../../base/streams/connection.js";
import { KeyValue } from "../../base/streams/key-value.js";

/** A teacher of a run that the processes of a pool stand for. */
export interface PoolMember {
  readonly runId: string;
  readonly teacher: string;
}

/** How long a pool's processes stay after its last run, unless a spec says so itself. */
export const defaultKeepWarmSeconds = 300;

/** No run has an id that begins so. */
const prefix = "_pools.";

const keyOf = (pool: string) => `${prefix}${pool}`;
const isSame = (one: PoolMember, other: PoolMember) => one.runId === other.runId && one.teacher === other.teacher;

/** @throws DataLoss for what no controller has written */
function membersOf(key: string, value: Uint8Array): PoolMember[] {
  try {
    const members: unknown = JSON.parse(new TextDecoder().decode(value));
    if (!Array.isArray(members)) throw new Error("it isn't a list");
    return members.map(({ runId, teacher }: Record<string, unknown>) => ({ runId: `${runId}`, teacher: `${teacher}` }));
  } catch (error) {
    throw new RetortError("DataLoss", `the members of the pool under ${key} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Which runs' teachers the processes of each pool stand for: in the bucket `retort_runs`, written by the controller, watched by the
 * pool's processes.
 */
export class TeacherPools {
  readonly #kv: KeyValue;

  private constructor(kv: KeyValue) {
    this.#kv = kv;
  }

  static async open(streams: Streams): Promise<TeacherPools> {
    return new TeacherPools(await KeyValue.open(streams, "retort_runs"));
  }

  /** Has a pool stand for a run's teacher, and no other pool; harmless if it does so already. */
  async join(pool: string, member: PoolMember): Promise<void> {
    for (const other of await this.#pools())
      if (other !== pool) await this.#change(other, (members) => members.filter((one) => !isSame(one, member)));
    await this.#change(pool, (members) => (members.some((one) => isSame(one, member)) ? members : [...members, member]));
  }

  /** Has no pool stand for any teacher of a run. A pool without members stays until {@link forget}. */
  async leave(runId: string): Promise<void> {
    for (const pool of await this.#pools()) await this.#change(pool, (members) => members.filter((one) => one.runId !== runId));
  }

  /** The members of a pool; none for one that isn't known. */
  async members(pool: string): Promise<readonly PoolMember[]> {
    const entry = await this.#kv.get(keyOf(pool));
    return entry ? membersOf(keyOf(pool), entry.value) : [];
  }

  /** The members of a pool, those of now first, until the signal. */
  async *watch(pool: string, signal: AbortSignal): AsyncGenerator<readonly PoolMember[]> {
    for await (const value of this.#kv.watch(keyOf(pool), signal)) yield membersOf(keyOf(pool), value);
  }

  /** Removes the records of pools that have no member. */
  async forget(): Promise<void> {
    for (const pool of await this.#pools()) {
      const entry = await this.#kv.get(keyOf(pool));
      if (entry && membersOf(keyOf(pool), entry.value).length === 0) await this.#kv.delete(keyOf(pool), entry.revision);
    }
  }

  async #pools(): Promise<string[]> {
    return (await this.#kv.keys(`${prefix}>`)).map((key) => key.slice(prefix.length));
  }

  async #change(pool: string, change: (members: readonly PoolMember[]) => readonly PoolMember[]): Promise<void> {
    const key = keyOf(pool);
    for (let tries = 0; tries < 50; tries++) {
      const entry = await this.#kv.get(key);
      const members = entry ? membersOf(key, entry.value) : [];
      const next = change(members);
      // Members come or go: a list of the same length is the same list.
      if (next.length === members.length) return;
      const value = new TextEncoder().encode(JSON.stringify(next));
      try {
        return await (entry ? this.#kv.update(key, value, entry.revision) : this.#kv.create(key, value));
      } catch (error) {
        if (!["Aborted", "AlreadyExists"].includes(RetortError.from(error).code)) throw error;
      }
    }
    throw new RetortError("Aborted", `the pool ${pool} keeps being changed by other controllers`);
  }
}
