import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Log } from "../../shared/base/log.js";
import { isOver, type RunStore } from "../../shared/flow/runs/run-store.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import type { RunStorage } from "./storage.js";
import type { Supervisor } from "./supervisor.js";

/** What old runs are looked through with, and how long they are kept. */
export interface RetentionOptions {
  readonly runs: RunStore;
  readonly storage: RunStorage;
  readonly supervisor: Supervisor;
  /** Days after which a run that is over is deleted; 0 for never. */
  readonly keepDays: number;
  readonly log: Log;
  readonly now: () => Date;
}

const hourMs = 3600_000;

/** Deletes what runs that are over need no more, at the start and every hour: their stored weights, and after a while the runs. */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #released = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Begins in the background. */
  start(): void {
    const sweep = () =>
      void this.sweep().catch((error: unknown) => this.#options.log.warn({ err: error }, "looking through old runs failed"));
    sweep();
    this.#timer = setInterval(sweep, hourMs);
    this.#timer.unref();
  }

  /** Begins nothing new. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks through all runs once. One that cannot be deleted does not keep the others. */
  async sweep(): Promise<void> {
    const { runs, log } = this.#options;
    for (const { runId } of (await runs.list()).filter(({ state }) => isOver(state)))
      await this.#look(runId).catch((error: unknown) => log.warn({ err: error, runId }, "an old run could not be cleaned up"));
  }

  async #look(runId: string): Promise<void> {
    const { runs, storage, supervisor, keepDays, log } = this.#options;
    await supervisor.alone(runId, async () => {
      const run = await runs.get(runId);
      if (!isOver(run.state)) return void this.#released.delete(runId);
      if (keepDays > 0 && this.#daysOver(run) > keepDays) {
        const freedBytes = await storage.remove(runId, run);
        log.info({ runId, freedBytes, keepDays }, "a run was deleted: it has been over for longer than runs are kept");
        this.#released.delete(runId);
      } else if (!this.#released.has(runId)) {
        await storage.release(run);
        this.#released.add(runId);
      }
    });
  }

  #daysOver({ finished, created }: Run): number {
    const end = finished ?? created;
    return end ? (this.#options.now().getTime() - timestampDate(end).getTime()) / (24 * hourMs) : 0;
  }
}
