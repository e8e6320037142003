import { create } from "@bufbuild/protobuf";
import type { ReportedRun } from "../../console/source/report-data.js";
import { RunHistory } from "../../shared/flow/history/run-history.js";
import { thin } from "../../shared/flow/history/thin.js";
import { FigureSchema, ReadFiguresResponseSchema } from "../../shared/gen/retort/v1/controller_pb.js";
import type { RunEvent } from "../../shared/gen/retort/v1/events_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import type { ControllerClient } from "../local.js";
import { runOf } from "../runs/runs.js";

/** Most points of a curve where nothing else is said. */
export const usualPoints = 1000;

/** How long a run that goes on says nothing before it counts as read. */
const quietMs = 1500;

/** Newest activities that are kept of a run: what the timeline shows. */
const mostActivities = 20_000;

/** Reads all that a report says of a run; of one that goes on, what it has said until now. */
export async function readRun(controller: ControllerClient, runId: string, maxPoints = usualPoints): Promise<ReportedRun> {
  const run = runOf(await controller.getRun({ runId }));
  const history = new RunHistory();
  const events: RunEvent[] = [];
  let activities: RunEvent[] = [];
  for await (const event of said(controller, run, history)) {
    history.push(event);
    const { case: kind } = event.event;
    if (kind === "activity") activities.push(event);
    else if (kind !== "stepFinished" && kind !== "samplesRecorded" && kind !== "processFigures") events.push(event);
    if (activities.length > 2 * mostActivities) activities = activities.slice(-mostActivities);
  }
  const figures = [...history.figures].map(([name, series]) => create(FigureSchema, { name, ...thin(series, maxPoints) }));
  return {
    run: runOf(await controller.getRun({ runId })),
    figures: create(ReadFiguresResponseSchema, { figures, lastStep: history.step }),
    samples: history.samples,
    events: [...events, ...activities.slice(-mostActivities)].sort((a, b) => Number(a.sequence - b.sequence)),
  };
}

/** A run's events: to its end, or until a run that goes on has told what it had done and is quiet. */
async function* said(controller: ControllerClient, { runId, step }: Run, history: RunHistory): AsyncGenerator<RunEvent> {
  const enough = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  try {
    for await (const { event } of controller.watchRun({ runId }, { signal: enough.signal })) {
      if (event) yield event;
      clearTimeout(timer);
      if (history.step >= step) timer = setTimeout(() => enough.abort(), quietMs);
    }
  } catch (error) {
    if (!enough.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}
