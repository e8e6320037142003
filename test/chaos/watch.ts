import { setTimeout as sleep } from "node:timers/promises";
import { watchEvents } from "../../services/shared/flow/runs/events.js";
import { isOver } from "../../services/shared/flow/runs/run-store.js";
import type { RunEvent } from "../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import type { ChaosCluster } from "./cluster.js";

/** A step as it was first finished. */
export interface Finished {
  readonly step: number;
  readonly at: number;
}

/** Follows a run's events beside the network, through every outage. */
export class RunWatch {
  readonly events: RunEvent[] = [];
  /** Steps in order, each when it was first finished. */
  readonly finished: Finished[] = [];
  readonly #stop = new AbortController();
  readonly #following: Promise<void>;
  #state: RunState = RunState.PENDING;

  constructor(cluster: ChaosCluster, runId: string) {
    this.#following = this.#follow(cluster, runId);
  }

  /** The newest step that is finished; 0 before the first. */
  get step(): number {
    return this.finished.at(-1)?.step ?? 0;
  }

  /** True once the run has come to a final state. */
  get over(): boolean {
    return isOver(this.#state);
  }

  /** Resolves when this step is finished, or the run is over. False if it took too long. */
  async until(step: number, timeoutMs: number): Promise<boolean> {
    for (const started = performance.now(); this.step < step && !this.over; await sleep(20))
      if (performance.now() - started > timeoutMs) return false;
    return true;
  }

  /** Stops following. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  async #follow(cluster: ChaosCluster, runId: string): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const next = Number(this.events.at(-1)?.sequence ?? 0n) + 1;
      try {
        for await (const event of watchEvents(cluster.streams, runId, next, this.#stop.signal)) this.#take(event);
      } catch {
        // The server is away.
        await sleep(500);
      }
    }
  }

  #take(event: RunEvent): void {
    this.events.push(event);
    const { case: kind, value } = event.event;
    if (kind === "stateChanged") this.#state = value.state;
    if (kind === "stepFinished" && value.step > this.step) this.finished.push({ step: value.step, at: performance.now() });
  }
}

/** Milliseconds between neighbouring steps, in the middle of all. */
export function medianStepMs(finished: readonly Finished[]): number {
  const times = finished.slice(1).map(({ at }, i) => at - finished[i]!.at);
  return times.sort((a, b) => a - b)[times.length >> 1] ?? 0;
}
