import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../../shared/base/errors.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import type { RunEvent } from "../../shared/gen/retort/v1/events_pb.js";
import type { ControllerClient } from "../local.js";

/** How a run is followed. */
export interface FollowOptions {
  /** Aborting it ends the events without an error. */
  readonly signal: AbortSignal;
  /** Hears that the controller has gone away, once each time, and that it is back. */
  readonly say: (sentence: string) => void;
  /** How long a controller may be away. Default: ten minutes. */
  readonly patienceMs?: number;
}

/** Time between two tries. */
const pauseMs = 500;

/**
 * The events of a run from its first on, until it is over. A controller that goes away is waited for, and the events go on behind the
 * last that came: none is lost, none comes twice.
 *
 * @throws Unavailable if the controller stays away; what the controller answers otherwise
 */
export async function* followRun(
  controller: Pick<ControllerClient, "watchRun" | "getRun">,
  runId: string,
  { signal, say, patienceMs = 600_000 }: FollowOptions,
): AsyncGenerator<RunEvent> {
  let last: RunEvent | undefined;
  let awaySince: number | undefined;
  while (!signal.aborted) {
    try {
      for await (const { event } of controller.watchRun({ runId, fromSequence: nextAfter(last) }, { signal })) {
        if (!event || isSame(event, last)) continue;
        if (awaySince !== undefined) say("the controller is back");
        [last, awaySince] = [event, undefined];
        yield event;
      }
      if (signal.aborted) return;
      // A controller that ends in order ends its streams in order, too.
      const { run } = await controller.getRun({ runId }, { signal });
      if (!run || isOver(run.state)) return;
      if (awaySince !== undefined) say("the controller is back");
      awaySince = undefined;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = RetortError.from(thrown);
      if (!isAway(error)) throw error;
      if (awaySince === undefined) say("the controller is away, and the run goes on without it; waiting for it to be back …");
      awaySince ??= performance.now();
      if (performance.now() - awaySince > patienceMs) throw error;
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
}

/** What a controller that ends, has ended or just starts answers; a lost stream's cancellation is its own. */
const isAway = ({ code }: RetortError): boolean => code === "Unavailable" || code === "Cancelled";

/** A warning may stand before an event, or in its place, under the same number: what comes behind it begins with that number again. */
function nextAfter(last: RunEvent | undefined): bigint {
  if (!last) return 0n;
  return last.event.case === "warning" ? last.sequence : last.sequence + 1n;
}

const isSame = (event: RunEvent, last: RunEvent | undefined): boolean =>
  event.sequence === last?.sequence &&
  event.event.case === "warning" &&
  last.event.case === "warning" &&
  event.event.value.message === last.event.value.message;
