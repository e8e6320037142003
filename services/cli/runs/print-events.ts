import { once } from "node:events";
import { toJsonString } from "@bufbuild/protobuf";
import { type AuditFinished, RunEventSchema } from "../../shared/gen/retort/v1/events_pb.js";
import type { ControllerClient } from "../local.js";
import { followRun } from "./follow-run.js";
import { checkAudit, checkSucceeded, runOf } from "./runs.js";

/**
 * Prints a run's events from its beginning as they come, one line of JSON each, and ends with the run. A reader that leaves ends it
 * without an error, as `head` does, and so does Ctrl-C: the run goes on.
 *
 * @param out such as standard output; a slow reader slows this down, and nothing piles up
 * @throws FailedPrecondition if the run failed, DataLoss if its account doesn't hold
 */
export async function printEvents(controller: ControllerClient, runId: string, out: NodeJS.WritableStream): Promise<void> {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  process.once("SIGINT", leave);
  out.on("error", leave);
  let audit: AuditFinished | undefined;
  try {
    const say = (sentence: string) => console.error(sentence);
    for await (const event of followRun(controller, runId, { signal: leaving.signal, say })) {
      if (event.event.case === "auditFinished") audit = event.event.value;
      const isFull = !out.write(`${toJsonString(RunEventSchema, event)}\n`);
      if (isFull) await once(out, "drain", { signal: leaving.signal });
    }
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
  } finally {
    process.off("SIGINT", leave);
  }
  if (leaving.signal.aborted) return;
  checkSucceeded(runOf(await controller.getRun({ runId })));
  checkAudit(runId, audit);
}
