import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { ControllerService, RunEvent } from "@retort/proto";
import { isOver } from "./is-over.js";
import { isAway, pauseMs } from "./retrying.js";

/** How a run is followed. */
export interface FollowOptions {
  readonly fromSequence?: bigint;
  readonly signal?: AbortSignal;
  /** How long a controller may be away. */
  readonly patienceMs: number;
}

/**
 * The events of a run until it is over, or the signal is aborted. A controller that goes away is waited for, and the events go on behind
 * the last that came: none is lost, none comes twice.
 */
export async function* followRun(
  controller: Client<typeof ControllerService>,
  runId: string,
  { fromSequence = 0n, signal, patienceMs }: FollowOptions,
): AsyncGenerator<RunEvent, void> {
  // A caller that takes no more events ends the call.
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  signal?.addEventListener("abort", leave, { once: true });
  if (signal?.aborted) leave();
  let last: RunEvent | undefined;
  let answered = performance.now();
  try {
    while (!leaving.signal.aborted) {
      try {
        const from = last ? nextAfter(last) : fromSequence;
        const events = controller.watchRun({ runId, fromSequence: from }, { signal: leaving.signal, timeoutMs: 0 });
        for await (const { event } of events) {
          if (!event || isSame(event, last)) continue;
          [last, answered] = [event, performance.now()];
          yield event;
        }
        // A controller that ends in order ends its streams in order, too.
        const { run } = await controller.getRun({ runId }, { signal: leaving.signal });
        if (!run || isOver(run)) return;
        answered = performance.now();
      } catch (error) {
        if (leaving.signal.aborted) return;
        if (!isAway(error) || performance.now() - answered > patienceMs) throw error;
      }
      await sleep(pauseMs, undefined, { signal: leaving.signal }).catch(() => {});
    }
  } finally {
    leave();
    signal?.removeEventListener("abort", leave);
  }
}

/** A warning may stand before an event, or in its place, under the same number: what comes behind it begins with that number again. */
const nextAfter = ({ event, sequence }: RunEvent): bigint => (event.case === "warning" ? sequence : sequence + 1n);

const isSame = (event: RunEvent, last: RunEvent | undefined): boolean =>
  event.sequence === last?.sequence &&
  event.event.case === "warning" &&
  last.event.case === "warning" &&
  event.event.value.message === last.event.value.message;
