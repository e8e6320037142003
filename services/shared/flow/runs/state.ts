import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { RetortError } from "../../base/errors.js";
import type { Streams } from "../../base/streams/connection.js";
import { KeyValue } from "../../base/streams/key-value.js";
import { type Run, RunSchema, RunState } from "../../gen/retort/v1/run_pb.js";

/** What the controller wants of a run's learner. */
export type Control = "run" | "pause" | "stop";

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
  const [fence = "0", version] = text.decode(value).split("/");
  return { version: Number(version), fence: BigInt(fence) };
}

/** The states in which nothing of a run is running any more. */
export const isOver = (state: RunState): boolean => state === RunState.SUCCEEDED || state === RunState.FAILED || state === RunState.STOPPED;

/** The durable state of runs: the key-value bucket `retort_runs`. */
export class RunStore {
  readonly #kv: KeyValue;

  private constructor(kv: KeyValue) {
    this.#kv = kv;
  }

  static async open(streams: Streams): Promise<RunStore> {
    return new RunStore(await KeyValue.open(streams, "retort_runs"));
  }

  /** @throws AlreadyExists if there is a run of this id */
  async create(run: Run): Promise<void> {
    await this.#kv.create(run.runId, toBinary(RunSchema, run)).catch((error: unknown) => {
      if (RetortError.from(error).code !== "AlreadyExists") throw error;
      throw new RetortError("AlreadyExists", `run ${run.runId} exists already; choose another id`, { cause: error });
    });
  }

  /** @throws NotFound naming the id */
  async get(runId: string): Promise<Run> {
    return (await this.#read(runId)).run;
  }

  /** Every run, newest first. */
  async list(): Promise<Run[]> {
    const ids: string[] = [];
    for (const key of await this.#kv.keys()) if (!key.includes(".")) ids.push(key);
    const runs = await Promise.all(ids.map((id) => this.get(id)));
    return runs.sort((a, b) => Number((b.created?.seconds ?? 0n) - (a.created?.seconds ?? 0n)));
  }

  /**
   * Changes a run by compare-and-set: `change` may be called again on a newer state. If it returns false nothing is written.
   */
  async update(runId: string, change: (run: Run) => boolean | undefined): Promise<Run> {
    for (let tries = 0; tries < 50; tries++) {
      const { run, revision } = await this.#read(runId);
      const next = clone(RunSchema, run);
      if (change(next) === false) return run;
      try {
        await this.#kv.update(runId, toBinary(RunSchema, next), revision);
        return next;
      } catch (error) {
        if (RetortError.from(error).code !== "Aborted") throw error;
      }
    }
    throw new RetortError("Aborted", `run ${runId} is being changed by somebody else all the time`);
  }

  /** Takes the run over: every older learner's writes are refused from now on. */
  async fence(runId: string): Promise<bigint> {
    const run = await this.update(runId, (next) => {
      next.fence += 1n;
      return true;
    });
    return run.fence;
  }

  async setControl(runId: string, control: Control): Promise<void> {
    await this.#kv.put(`${runId}.control`, control);
  }

  async control(runId: string): Promise<Control> {
    const entry = await this.#kv.get(`${runId}.control`);
    return entry ? (text.decode(entry.value) as Control) : "run";
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
      if (entry && announcementOf(entry.value).fence > fence) break;
      try {
        return await (entry ? this.#kv.update(key, value, entry.revision) : this.#kv.create(key, value));
      } catch (error) {
        if (!["Aborted", "AlreadyExists"].includes(RetortError.from(error).code)) throw error;
      }
    }
    throw new RetortError("Aborted", `run ${runId} was taken over by another learner (ours has fence ${fence})`, { retry: "never" });
  }

  async policy(runId: string): Promise<PolicyAnnouncement | undefined> {
    const entry = await this.#kv.get(`${runId}.policy`);
    return entry && announcementOf(entry.value);
  }

  /** What is announced, the current announcement first, until the signal. One may be missed where a later one follows. */
  async *watchPolicy(runId: string, signal: AbortSignal): AsyncGenerator<PolicyAnnouncement> {
    for await (const version of this.#kv.watch(`${runId}.policy`, signal)) yield announcementOf(version);
  }

  async register(runId: string, registration: RoleRegistration): Promise<void> {
    await this.#kv.put(`${runId}.roles.${registration.name}`, JSON.stringify(registration));
  }

  async unregister(runId: string, name: string): Promise<void> {
    await this.#kv.delete(`${runId}.roles.${name}`);
  }

  async registrations(runId: string): Promise<RoleRegistration[]> {
    const found: RoleRegistration[] = [];
    for (const key of await this.#kv.keys(`${runId}.roles.>`)) {
      const entry = await this.#kv.get(key);
      if (entry) found.push(JSON.parse(text.decode(entry.value)) as RoleRegistration);
    }
    return found;
  }

  async #read(runId: string): Promise<{ run: Run; revision: number }> {
    const entry = await this.#kv.get(runId);
    if (!entry) throw new RetortError("NotFound", `there is no run ${runId}; \`retort runs\` lists them`);
    return { run: fromBinary(RunSchema, entry.value), revision: entry.revision };
  }
}

/** A new run of a spec. */
export const newRun = (fields: Parameters<typeof create<typeof RunSchema>>[1]): Run => create(RunSchema, fields);
