import { clone } from "@bufbuild/protobuf";
import { changedSince, ensureEnd, lastEvent, watchEvents } from "../../shared/flow/runs/events.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import { wantedOf } from "../../shared/flow/runs/wish.js";
import { type Run, RunSchema } from "../../shared/gen/retort/v1/run_pb.js";
import type { ControllerContext } from "./context.js";

/** A run with what is read and never stored: what is asked of it, and its size. */
export async function described({ runs, storage }: ControllerContext, run: Run): Promise<Run> {
  const next = clone(RunSchema, run);
  next.wanted = wantedOf(await runs.control(run.runId));
  next.sizeBytes = BigInt((await storage?.bytes(run)) ?? 0);
  return next;
}

/**
 * A run's events from a sequence number on; ends when the run has ended and its last event was sent, and at once if there is
 * none left to send.
 */
export async function* watchRun({ streams, runs, report }: ControllerContext, runId: string, fromSequence: number, signal: AbortSignal) {
  const run = await runs.get(runId);
  let last = Number.POSITIVE_INFINITY;
  if (isOver(run.state)) {
    await ensureEnd(streams, run);
    last = await lastEvent(streams, runId);
    if (last < fromSequence) return;
  }
  for await (const event of watchEvents(streams, runId, fromSequence, signal, report)) {
    yield { event };
    // A warning may stand in the place of an event that cannot be read. What a process has told after the end isn't followed by another end.
    const mayEnd = event.event.case === "stateChanged" || event.event.case === "warning" || Number(event.sequence) >= last;
    if (!mayEnd) continue;
    // A run that was resumed has an end in the middle of its events.
    if (isOver((await runs.get(runId)).state) && !(await changedSince(streams, runId, event.sequence))) return;
  }
}
