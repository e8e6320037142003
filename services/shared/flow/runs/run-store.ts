import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampNow } from "@bufbuild/protobuf/wkt";
import pLimit from "p-limit";
import { RetortError } from "../../base/errors.js";
import type { Streams } from "../../base/streams/connection.js";
import { type Entry, KeyValue } from "../../base/streams/key-value.js";
import { type Run, RunSchema, RunState } from "../../gen/retort/v1/run_pb.js";
import { type Report, warn } from "./aside.js";
import { type Control, type Wish, wishByState, wishOf, wishToText } from "./wish.js";

export type { Control } from "./wish.js";

/** The newest version that can be loaded, and the fence of the learner that made it: another learner's is another policy. */
export interface PolicyAnnouncement {
  readonly version: number;
  readonly fence: bigint;
}

/** A process that serves a run, as it registered itself. */
export interface RoleRegistration {
  readonly role: string;
  /** What tells it from the run's other processes. */
  readonly name: string;
  readonly pid: number;
  readonly grpcPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
}

const text = new TextDecoder();

function announcementOf(value: Uint8Array): PolicyAnnouncement {
  const [, fence, version] = /^(\d{1,19})\/(\d{1,10})$/.exec(text.decode(value)) ?? [];
  if (!fence) throw new Error("it isn't an announcement, which is FENCE/VERSION");
  return { version: Number(version), fence: BigInt(fence) };
}

const registrationKey = (runId: string, { role, name }: Pick<RoleRegistration, "role" | "name">): string => `${runId}.${role}.${name}`;

/** A process as it registered itself; its role is the one in the key, which it may write. */
function registrationOf(key: string, value: Uint8Array): RoleRegistration {
  const found = JSON.parse(text.decode(value)) as RoleRegistration;
  if (typeof found?.role !== "string" || typeof found.name !== "string") throw new Error("it lacks role or name");
  if (!key.endsWith(`.${found.role}.${found.name}`)) throw new Error("its role or name is not the one that it is kept under");
  return found;
}

/** A run as stored. Its id is part of the record: bytes that are read as a run by accident have another one. */
function runOf(runId: string, value: Uint8Array): Run {
  const run = fromBinary(RunSchema, value);
  if (run.runId !== runId) throw new Error(`it is not of this run: its id is ${run.runId.length ? "another one" : "empty"}`);
  if (RunState[run.state] === undefined) throw new Error(`there is no state ${run.state}`);
  return run;
}

/** What a request to start a run has claimed: the run's id, and the digest of what it asked for. */
export interface RunClaim {
  readonly runId: string;
  readonly specDigest: string;
}

function claimOf(value: Uint8Array): RunClaim {
  const { runId, specDigest } = JSON.parse(text.decode(value)) as RunClaim;
  if (typeof runId !== "string" || typeof specDigest !== "string") throw new Error("it lacks runId or specDigest");
  return { runId, specDigest };
}

/** No run's id begins so. */
const claimKey = (requestId: string): string => `_request.${requestId}`;

/** Orders runs by when they were created, the newest first, and by their ids where that is the same. */
export function byAge(
  a: Pick<Run, "runId"> & { readonly created?: Pick<Timestamp, "seconds" | "nanos"> | undefined },
  b: typeof a,
): number {
  const [older, newer] = [a.created, b.created].map((created) => (created?.seconds ?? 0n) * 1_000_000_000n + BigInt(created?.nanos ?? 0));
  if (older !== newer) return (older ?? 0n) < (newer ?? 0n) ? 1 : -1;
  return a.runId < b.runId ? -1 : Number(a.runId > b.runId);
}

/** Runs that are read at the same time. */
const readers = 16;

/** The states in which nothing of a run is running any more. */
export const isOver = (state: RunState): boolean => state === RunState.SUCCEEDED || state === RunState.FAILED || state === RunState.STOPPED;

/**
 * The durable state of runs: the key-value bucket `retort_runs`, and `retort_roles` for what the roles say of themselves, which
 * they can write but not read: what one could store and have sent elsewhere, it could say in another's name. A final state (SUCCEEDED, FAILED, STOPPED) is left by
 * {@link RunStore.reopen} alone. A record that cannot be read is reported and left out.
 */
export class RunStore {
  readonly #kv: KeyValue;
  readonly #roles: KeyValue;
  readonly #report: Report;
  /** True where what cannot be read is taken out of the bucket. */
  readonly #removes: boolean;

  private constructor(kv: KeyValue, roles: KeyValue, report: Report | undefined) {
    this.#kv = kv;
    this.#roles = roles;
    this.#report = report ?? warn;
    this.#removes = report !== undefined;
  }

  /** @param report keeps what cannot be read, which is then removed; without it, such records are named and stay */
  static async open(streams: Streams, report?: Report): Promise<RunStore> {
    return new RunStore(await KeyValue.open(streams, "retort_runs"), await KeyValue.open(streams, "retort_roles"), report);
  }

  /** @throws AlreadyExists if there is a run of this id */
  async create(run: Run): Promise<void> {
    await this.#kv.create(run.runId, toBinary(RunSchema, run)).catch((error: unknown) => {
      if (RetortError.from(error).code !== "AlreadyExists") throw error;
      throw new RetortError("AlreadyExists", `run ${run.runId} exists already; choose another id`, { cause: error });
    });
  }

  /** What a request to start a run has claimed; undefined if it is a new one. */
  async claimed(requestId: string): Promise<RunClaim | undefined> {
    const key = claimKey(requestId);
    const entry = await this.#kv.get(key);
    return entry && (await this.#decode(key, entry, claimOf));
  }

  /** Claims a run for a request, unless it has claimed one. @returns what it has claimed then */
  async claim(requestId: string, claim: RunClaim): Promise<RunClaim> {
    for (let tries = 0; tries < 50; tries++) {
      try {
        await this.#kv.create(claimKey(requestId), new TextEncoder().encode(JSON.stringify(claim)));
        return claim;
      } catch (error) {
        if (RetortError.from(error).code !== "AlreadyExists") throw error;
      }
      const earlier = await this.claimed(requestId);
      if (earlier) return earlier;
    }
    throw new RetortError("DataLoss", `what request ${requestId} started can't be read; ask with another requestId`);
  }

  /** Forgets what a request has claimed, if it is this run. */
  async unclaim(requestId: string, runId: string): Promise<void> {
    if ((await this.claimed(requestId))?.runId === runId) await this.#kv.erase(claimKey(requestId));
  }

  /** @throws NotFound naming the id; DataLoss if its record cannot be read */
  async get(runId: string): Promise<Run> {
    return (await this.#read(runId)).run;
  }

  /** A run; undefined if it is not there, or cannot be read. */
  async find(runId: string): Promise<Run | undefined> {
    return this.get(runId).catch((error: unknown) => {
      if (!["NotFound", "DataLoss"].includes(RetortError.from(error).code)) throw error;
      return undefined;
    });
  }

  /** Every run that can be read, newest first. */
  async list(): Promise<Run[]> {
    const ids = await this.#kv.keys("*");
    const limit = pLimit(readers);
    const runs = await Promise.all(ids.map((id) => limit(() => this.find(id))));
    return runs.flatMap((run) => run ?? []).sort(byAge);
  }

  /**
   * Changes a run by compare-and-set: `change` may be called again on a newer state. If it returns false, or would leave a
   * final state, nothing is written.
   */
  async update(runId: string, change: (run: Run) => boolean | undefined): Promise<Run> {
    return this.#change(runId, (next) => {
      const before = next.state;
      return change(next) !== false && (!isOver(before) || next.state === before);
    });
  }

  /**
   * Brings a run into a state, with the time of its end if it is a final one. One that is being stopped stays STOPPING until
   * it is over.
   *
   * @param fields what changes besides
   * @returns the run as it is then, or undefined, with nothing written, if it was over
   */
  async transition(runId: string, state: RunState, message: string, fields: Partial<Run> = {}): Promise<Run | undefined> {
    let over = false;
    const run = await this.#change(runId, (next) => {
      over = isOver(next.state);
      if (over) return false;
      const kept = next.state === RunState.STOPPING && !isOver(state);
      Object.assign(next, fields, kept ? {} : { state, message }, isOver(state) ? { finished: timestampNow() } : {});
      return true;
    });
    return over ? undefined : run;
  }

  /**
   * Makes a run that is over, or is being stopped, a pending one again: the only way out of a final state.
   *
   * @throws FailedPrecondition if it has succeeded
   */
  async reopen(runId: string): Promise<Run> {
    return this.#change(runId, (next) => {
      if (next.state === RunState.SUCCEEDED)
        throw new RetortError("FailedPrecondition", `run ${runId} has succeeded; there is nothing to resume`);
      if (next.state === RunState.STOPPING) next.state = RunState.RUNNING;
      else if (isOver(next.state)) Object.assign(next, { state: RunState.PENDING, message: "", finished: undefined });
      else return false;
      return true;
    });
  }

  /** Removes all that is kept of a run here; harmless if there is nothing. The run itself goes last. */
  async delete(runId: string): Promise<void> {
    const requestId = (await this.find(runId))?.requestId;
    if (requestId) await this.unclaim(requestId, runId);
    await this.#roles.erase(`${runId}.>`);
    await this.#kv.erase(`${runId}.>`);
    await this.#kv.erase(runId);
  }

  /** True if anything of a run is kept here, be it that its record could not be read. */
  async knows(runId: string): Promise<boolean> {
    return (await this.#kv.get(runId)) !== undefined || (await this.#kv.keys(`${runId}.>`)).length > 0;
  }

  /** Takes the run over: every older learner's writes are refused from now on. */
  async fence(runId: string): Promise<bigint> {
    const run = await this.update(runId, (next) => {
      next.fence += 1n;
      return true;
    });
    return run.fence;
  }

  /** Records what is asked of a run. @param deadline when a stop is over at the latest, in milliseconds since 1970 */
  async setControl(runId: string, control: Control, deadline?: number): Promise<void> {
    await this.#kv.put(`${runId}.control`, wishToText({ control, since: Date.now(), ...(deadline === undefined ? {} : { deadline }) }));
  }

  /** What is asked of a run. */
  async control(runId: string): Promise<Control> {
    return (await this.wish(runId)).control;
  }

  /** What is asked of a run, since when, and until when. If that is lost, what its state tells of it. */
  async wish(runId: string): Promise<Wish> {
    const key = `${runId}.control`;
    const entry = await this.#kv.get(key);
    if (!entry) return { control: "run", since: 0 };
    const wish = await this.#decode(key, entry, (value) => wishOf(text.decode(value)), false);
    if (wish) return wish;
    const control = wishByState((await this.find(runId))?.state ?? RunState.UNSPECIFIED);
    // In the place of what cannot be read: a stop that was asked for must stay one when the state has changed.
    if (this.#removes) await this.setControl(runId, control);
    return { control, since: 0 };
  }

  /**
   * Announces the newest version that can be loaded.
   *
   * @throws Aborted if a later learner has announced one: this one has been replaced
   */
  async setPolicy(runId: string, { version, fence }: PolicyAnnouncement): Promise<void> {
    const key = `${runId}.policy`;
    const value = new TextEncoder().encode(`${fence}/${version}`);
    for (let tries = 0; tries < 50; tries++) {
      const entry = await this.#kv.get(key);
      const known = entry && (await this.#decode(key, entry, announcementOf, false));
      if (known && known.fence > fence) break;
      try {
        return await (entry ? this.#kv.update(key, value, entry.revision) : this.#kv.create(key, value));
      } catch (error) {
        if (!["Aborted", "AlreadyExists"].includes(RetortError.from(error).code)) throw error;
      }
    }
    throw new RetortError("Aborted", `run ${runId} was taken over by another learner (ours has fence ${fence})`, { retry: "never" });
  }

  /** What is announced; undefined if nothing is, or nothing that can be read. */
  async policy(runId: string): Promise<PolicyAnnouncement | undefined> {
    const entry = await this.#kv.get(`${runId}.policy`);
    return entry && (await this.#decode(`${runId}.policy`, entry, announcementOf));
  }

  /** What is announced, the current announcement first, until the signal. One may be missed where a later one follows. */
  async *watchPolicy(runId: string, signal: AbortSignal): AsyncGenerator<PolicyAnnouncement> {
    const key = `${runId}.policy`;
    for await (const value of this.#kv.watch(key, signal)) {
      const announced = await this.#decode(key, { value, revision: 0 }, announcementOf, false);
      if (announced) yield announced;
    }
  }

  /** Records that a process serves a run. */
  async register(runId: string, registration: RoleRegistration): Promise<void> {
    await this.#roles.put(registrationKey(runId, registration), JSON.stringify(registration));
  }

  /** Takes a process's record away; harmless if there is none. */
  async unregister(runId: string, registered: Pick<RoleRegistration, "role" | "name">): Promise<void> {
    await this.#roles.delete(registrationKey(runId, registered));
  }

  /** The processes that serve a run. */
  async registrations(runId: string): Promise<RoleRegistration[]> {
    const found: RoleRegistration[] = [];
    for (const key of await this.#roles.keys(`${runId}.>`)) {
      const entry = await this.#roles.get(key);
      const registration = entry && (await this.#decode(key, entry, (value) => registrationOf(key, value), true, this.#roles));
      if (registration) found.push(registration);
    }
    return found;
  }

  async #change(runId: string, change: (run: Run) => boolean): Promise<Run> {
    for (let tries = 0; tries < 50; tries++) {
      const { run, revision } = await this.#read(runId);
      const next = clone(RunSchema, run);
      if (!change(next)) return run;
      try {
        await this.#kv.update(runId, toBinary(RunSchema, next), revision);
        return next;
      } catch (error) {
        if (RetortError.from(error).code !== "Aborted") throw error;
      }
    }
    throw new RetortError("Aborted", `run ${runId} keeps being changed by other processes; try again`);
  }

  async #read(runId: string): Promise<{ run: Run; revision: number }> {
    const entry = await this.#kv.get(runId);
    if (!entry) throw new RetortError("NotFound", `there is no run ${runId}; \`retort runs\` lists them`);
    const run = await this.#decode(runId, entry, (value) => runOf(runId, value));
    if (!run)
      throw new RetortError(
        "DataLoss",
        `the record of run ${runId} cannot be read; the controller keeps it in the bucket retort_aside, and \`retort rm ${runId}\` removes what else is left of the run`,
      );
    return { run, revision: entry.revision };
  }

  /** A record's value; undefined, and the record reported, if it cannot be read. */
  async #decode<T>(
    key: string,
    { value, revision }: Entry,
    decode: (value: Uint8Array) => T,
    remove = true,
    kv = this.#kv,
  ): Promise<T | undefined> {
    try {
      return decode(value);
    } catch (error) {
      await this.#report({ place: `${kv === this.#roles ? "roles" : "runs"}.${key}`, bytes: value, reason: (error as Error).message });
      if (remove && this.#removes) await kv.delete(key, revision);
      return undefined;
    }
  }
}

/** A new run of a spec. */
export const newRun = (fields: Parameters<typeof create<typeof RunSchema>>[1]): Run => create(RunSchema, fields);
