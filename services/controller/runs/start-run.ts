import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../../shared/base/errors.js";
import { announceStart, publishEvent } from "../../shared/flow/runs/events.js";
import { newRun } from "../../shared/flow/runs/run-store.js";
import type { StartRunRequest } from "../../shared/gen/retort/v1/controller_pb.js";
import { type Run, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { checkReferring } from "../check/references.js";
import type { ControllerContext } from "./context.js";
import { findReference } from "./find-reference.js";
import { described } from "./watch.js";

/** A run that a request has started, now or before, and what is unusual about its spec. */
export interface Started {
  readonly run: Run;
  readonly warnings: { readonly field: string; readonly message: string }[];
}

/**
 * Checks a spec and starts a run of it. A request that names itself and has been made before is answered with the run that it
 * started: by a claim, which is made before the run and names it. A request that finds a claim without its run makes that run.
 *
 * @throws InvalidArgument with all that is wrong; AlreadyExists if the request's id came with another spec
 */
export async function startRun(
  context: ControllerContext,
  { spec: given = create(RunSpecSchema), requestId }: Pick<StartRunRequest, "spec" | "requestId">,
): Promise<Started> {
  const { runs, place, now } = context;
  const specDigest = digestOf(given);
  const earlier = requestId ? await runs.claimed(requestId) : undefined;
  if (earlier) checkSame(requestId, earlier, specDigest);
  const started = earlier && (await runs.find(earlier.runId));
  if (started) return { run: await described(context, started), warnings: [] };
  const verdict = await checkReferring(given, place, findReference(context));
  if ("problems" in verdict) throw RetortError.ofProblems("the run spec", verdict.problems);
  const { spec, warnings, fetched } = verdict;
  const stamp = now().toISOString().replace(/[-:]/g, "").slice(2, 15).replace("T", "-");
  const runId = `${spec.name}-${stamp}-${Math.random().toString(36).slice(2, 5)}`;
  const claim = requestId ? await runs.claim(requestId, { runId, specDigest }) : { runId, specDigest };
  checkSame(requestId, claim, specDigest);
  const { totalSteps } = verdict.run;
  const run = newRun({
    runId: claim.runId,
    spec,
    state: RunState.PENDING,
    created: timestampNow(),
    totalSteps,
    requestId,
    fetched: [...fetched],
  });
  try {
    await runs.create(run);
  } catch (error) {
    // The same request, made twice at a time: the other one was faster.
    if (!requestId || RetortError.from(error).code !== "AlreadyExists") throw error;
    return { run: await described(context, await runs.get(claim.runId)), warnings: [] };
  }
  await announce(
    context,
    run,
    warnings.map(({ field, message }) => `${field}: ${message}`),
  );
  await context.supervisor.launch(run);
  return { run, warnings: [...warnings] };
}

/** Writes the first of a run's events; a run of which they can't be written has failed. */
async function announce({ streams, runs }: ControllerContext, { runId, requestId }: Run, warnings: readonly string[]): Promise<void> {
  try {
    await announceStart(streams, runId);
    for (const [i, message] of warnings.entries())
      await publishEvent(streams, runId, { case: "warning", value: { message } }, `warning/${i}`);
  } catch (error) {
    // Its caller hears that it was not started: it must not start later, and the next such request starts another one.
    await runs.transition(runId, RunState.FAILED, `it was not started: ${RetortError.from(error).message}`);
    if (requestId) await runs.unclaim(requestId, runId);
    throw error;
  }
}

function checkSame(requestId: string, claim: { readonly runId: string; readonly specDigest: string }, specDigest: string): void {
  if (claim.specDigest === specDigest) return;
  throw new RetortError(
    "AlreadyExists",
    `requestId ${requestId} came with another spec before, and started run ${claim.runId}; give this spec an id of its own`,
    { fieldPath: "requestId" },
  );
}

/** SHA-256 of a spec's fields, in whatever order maps have their keys, hexadecimal. */
export function digestOf(spec: RunSpec): string {
  const ordered = JSON.stringify(spec, (_, value: unknown) => {
    if (typeof value === "bigint") return `${value}`;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return createHash("sha256").update(ordered).digest("hex");
}
