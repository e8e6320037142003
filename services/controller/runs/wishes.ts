import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../shared/base/log.js";
import type { Streams } from "../../shared/base/streams/connection.js";
import { publishEvent } from "../../shared/flow/runs/events.js";
import { isOver, type RunStore } from "../../shared/flow/runs/run-store.js";
import type { Wish } from "../../shared/flow/runs/wish.js";
import { type Run, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { persist } from "./persist.js";

/** What is needed to look after what runs are asked. */
export interface WishesOptions {
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly log: Log;
  /** How long a stop without a deadline of its own may take, from when this process heard of it. */
  readonly stopDeadlineMs: number;
  /** After this it is said that a learner does not do what it is asked, and again each time the wait has doubled. Default 30000. */
  readonly noticeMs?: number;
  /** Ends a run's processes and records it as stopped. */
  readonly enforce: (runId: string) => Promise<void>;
  /** Gives back what the processes of a paused run hold; absent where they keep it. */
  readonly rest?: (runId: string) => Promise<void>;
}

/** How often it is looked whether a run that is to pause has saved its checkpoint, where its processes' places are then given back. */
const restLookMs = 2000;

/** Sees to it that runs do what they are asked: a pause that takes long is told of, a stop has a deadline. */
export class Wishes {
  readonly #options: WishesOptions;
  readonly #followed = new Map<string, AbortController>();

  constructor(options: WishesOptions) {
    this.#options = options;
  }

  /** Takes up what is asked of a run now, in place of what was asked before. */
  follow(runId: string): void {
    this.#followed.get(runId)?.abort();
    const own = new AbortController();
    this.#followed.set(runId, own);
    const started = Date.now();
    void persist(
      `looking after what run ${runId} is asked`,
      () => this.#follow(runId, started, own.signal),
      this.#options.log,
      own.signal,
    ).finally(() => {
      if (this.#followed.get(runId) === own) this.#followed.delete(runId);
    });
  }

  /** Forgets all: the next controller reads them again. */
  close(): void {
    for (const own of this.#followed.values()) own.abort();
  }

  /** When a stop is over at the latest. */
  deadlineOf({ since, deadline }: Wish, started: number): number {
    return deadline ?? (since || started) + this.#options.stopDeadlineMs;
  }

  async #follow(runId: string, started: number, signal: AbortSignal): Promise<void> {
    const { runs, noticeMs = 30_000, enforce } = this.#options;
    for (let told = 0; !signal.aborted; ) {
      const wish = await runs.wish(runId);
      const run = await runs.find(runId);
      if (!run || signal.aborted) return;
      if (isDone(run, wish)) return wish.control === "pause" && !isOver(run.state) ? this.#options.rest?.(runId) : undefined;
      const since = wish.since || started;
      const deadline = wish.control === "stop" ? this.deadlineOf(wish, started) : Number.POSITIVE_INFINITY;
      if (Date.now() >= deadline) return enforce(runId);
      const waited = Date.now() - since;
      const due = noticeMs * 2 ** Math.max(0, Math.floor(Math.log2(waited / noticeMs)));
      if (waited >= due && due > told) {
        told = due;
        await this.#tell(run, wish, since, deadline);
      }
      const next = waited < noticeMs ? noticeMs : 2 * due;
      // Often enough to hear soon that it is done; a run that is done needs nothing more.
      const longest = wish.control === "pause" && this.#options.rest ? restLookMs : 60_000;
      await sleep(Math.max(10, Math.min(deadline - Date.now(), since + next - Date.now(), longest)), undefined, { signal }).catch(() => {});
    }
  }

  async #tell({ runId }: Run, { control }: Wish, since: number, deadline: number): Promise<void> {
    const { streams, log } = this.#options;
    const seconds = Math.round((Date.now() - since) / 1000);
    const way = control === "pause" ? "; if it hangs, `retort stop --now` ends it" : "";
    const waitsFor = `the learner, which was asked to ${control} and has not yet saved its checkpoint${way}`;
    const deadlineSeconds = Number.isFinite(deadline) ? (deadline - since) / 1000 : 0;
    log.warn({ runId, seconds }, `waiting for ${waitsFor}`);
    const value = { waiter: "controller", waitsFor, seconds, deadlineSeconds };
    await publishEvent(streams, runId, { case: "waiting", value }, `waiting/${control}/${since}/${seconds}`);
  }
}

/** True if nothing is left to wait for. */
const isDone = ({ state }: Run, { control }: Wish): boolean =>
  isOver(state) || control === "run" || (control === "pause" && state === RunState.PAUSED);
