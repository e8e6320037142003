import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { KV } from "@nats-io/kv";
import { RetortError } from "../../base/errors.js";
import { isApiError, type Streams } from "../../base/streams/connection.js";
import { type Run, RunSchema, RunState } from "../../gen/retort/v1/run_pb.js";

/** What the controller wants of a run's learner. */
export type Control = "run" | "pause" | "stop";

/** A process that serves a run, as it registered itself. */
export interface RoleRegistration {
  readonly role: string;
  readonly index: number;
  readonly pid: number;
  readonly grpcPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
}

const text = new TextEncoder();

/** The states in which nothing of a run is running any more. */
export const isOver = (state: RunState): boolean => state === RunState.SUCCEEDED || state === RunState.FAILED || state === RunState.STOPPED;

/** The durable state of runs: the key-value bucket `retort_runs`. */
export class RunStore {
  readonly #kv: KV;

  private constructor(kv: KV) {
    this.#kv = kv;
  }

  static async open(streams: Streams): Promise<RunStore> {
    return new RunStore(await streams.kv.create("retort_runs", { history: 1 }));
  }

  /** @throws AlreadyExists if there is a run of this id */
  async create(run: Run): Promise<void> {
    try {
      await this.#kv.create(run.runId, toBinary(RunSchema, run));
    } catch (error) {
      if (isApiError(error, "wrongLastSequence")) throw new RetortError("AlreadyExists", `run ${run.runId} exists already`);
      throw error;
    }
  }

  /** @throws NotFound naming the id */
  async get(runId: string): Promise<Run> {
    return (await this.#read(runId)).run;
  }

  /** Every run, newest first. */
  async list(): Promise<Run[]> {
    const ids: string[] = [];
    for await (const key of await this.#kv.keys()) if (!key.includes(".")) ids.push(key);
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
        if (!isApiError(error, "wrongLastSequence")) throw error;
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
    await this.#kv.put(`${runId}.control`, text.encode(control));
  }

  async control(runId: string): Promise<Control> {
    return ((await this.#kv.get(`${runId}.control`))?.string() as Control | undefined) ?? "run";
  }

  /** Announces the newest version that can be loaded. */
  async setPolicy(runId: string, version: number): Promise<void> {
    await this.#kv.put(`${runId}.policy`, text.encode(String(version)));
  }

  async policy(runId: string): Promise<number | undefined> {
    const entry = await this.#kv.get(`${runId}.policy`);
    return entry ? Number(entry.string()) : undefined;
  }

  /** The announced versions, the current one first, until the signal. */
  async *watchPolicy(runId: string, signal: AbortSignal): AsyncGenerator<number> {
    const watcher = await this.#kv.watch({ key: `${runId}.policy` });
    const stop = () => watcher.stop();
    signal.addEventListener("abort", stop, { once: true });
    for await (const entry of watcher) {
      if (signal.aborted) return;
      if (entry.operation === "PUT") yield Number(entry.string());
    }
  }

  async register(runId: string, registration: RoleRegistration): Promise<void> {
    await this.#kv.put(`${runId}.roles.${registration.role}.${registration.index}`, text.encode(JSON.stringify(registration)));
  }

  async unregister(runId: string, { role, index }: Pick<RoleRegistration, "role" | "index">): Promise<void> {
    await this.#kv.purge(`${runId}.roles.${role}.${index}`);
  }

  async registrations(runId: string): Promise<RoleRegistration[]> {
    const found: RoleRegistration[] = [];
    for await (const key of await this.#kv.keys(`${runId}.roles.>`)) {
      const entry = await this.#kv.get(key);
      if (entry && entry.operation === "PUT") found.push(JSON.parse(entry.string()) as RoleRegistration);
    }
    return found;
  }

  async #read(runId: string): Promise<{ run: Run; revision: number }> {
    const entry = await this.#kv.get(runId);
    if (!entry || entry.operation !== "PUT") throw new RetortError("NotFound", `there is no run ${runId}; \`retort runs\` lists them`);
    return { run: fromBinary(RunSchema, entry.value), revision: entry.revision };
  }
}

/** A new run of a spec. */
export const newRun = (fields: Parameters<typeof create<typeof RunSchema>>[1]): Run => create(RunSchema, fields);
