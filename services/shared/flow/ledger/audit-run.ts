import { RetortError } from "../../base/errors.js";
import type { Streams } from "../../base/streams/connection.js";
import { readAll } from "../../base/streams/read-all.js";
import { type StepAccount, StepAccountSchema } from "../../gen/retort/v1/flow_pb.js";
import type { Run } from "../../gen/retort/v1/run_pb.js";
import type { PlanRows } from "../prompts/plan.js";
import { readRecord } from "../read-record.js";
import { lastOf, publishEvent } from "../runs/events.js";
import { resolveRun } from "../runs/resolve.js";
import { streamNames } from "../streams.js";
import { subjects } from "../subjects.js";
import { type Audit, audit } from "./audit.js";

/** Audits a run from its ledger. A record of it that cannot be read is a problem of the audit. */
export async function auditRun(streams: Streams, run: Run): Promise<Audit> {
  const accounts: StepAccount[] = [];
  const unreadable: string[] = [];
  for (const { subject, data } of await readAll(streams, streamNames.ledger, subjects.accounts(run.runId))) {
    try {
      accounts.push(readRecord(StepAccountSchema, data));
    } catch (error) {
      unreadable.push(`${subject} cannot be read: ${RetortError.from(error).message}`);
    }
  }
  const rows = await plannedRows(streams, run.runId);
  const found = audit(accounts, { run: resolveRun(run.spec!), lastStep: run.step, rows, learners: Number(run.fence) });
  return unreadable.length ? { ...found, holds: false, problems: [...unreadable, ...found.problems] } : found;
}

/** The rows that a run's steps are planned over, where all of them have what every step needs. */
async function plannedRows(streams: Streams, runId: string): Promise<PlanRows | undefined> {
  const ready = (await lastOf(streams, runId, "datasetReady"))?.value;
  return ready && ready.rows === ready.completed ? { count: ready.rows } : undefined;
}

/** Audits a run at its end and tells of it. An audit that fails itself doesn't hold, and doesn't keep the run from its end. */
export async function tellAudit(streams: Streams, run: Run): Promise<Audit> {
  const found = await auditRun(streams, run).catch((error: unknown): Audit => {
    const problems = [`the audit could not be made: ${RetortError.from(error).message}`];
    const nothing = { samples: 0n, trained: 0n, failed: 0n, steps: 0, repeatedSteps: 0, failures: {} };
    return { ...nothing, holds: false, learners: Number(run.fence), problems };
  });
  await publishEvent(streams, run.runId, { case: "auditFinished", value: found }, `audit/${run.fence}/${run.step}`);
  return found;
}
