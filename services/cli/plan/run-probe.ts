import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import { namedInputs } from "../../shared/flow/runs/named-inputs.js";
import { resolveRun } from "../../shared/flow/runs/resolve.js";
import { isRunReference } from "../../shared/flow/runs/run-reference.js";
import { isUploadReference } from "../../shared/flow/runs/upload-reference.js";
import type { RunEvent } from "../../shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../shared/gen/retort/v1/run_pb.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { ControllerClient } from "../local.js";
import { startOwnService } from "../own-service.js";
import { followRun } from "../runs/follow-run.js";
import { runOf } from "../runs/runs.js";
import { withScratch } from "../scratch.js";
import { type Probe, probeOf } from "./probe-spec.js";

/** What a probe said of itself. */
export interface Probed {
  readonly probe: Probe;
  readonly events: readonly RunEvent[];
}

/**
 * Runs a probe of a spec with processes of this machine, in a directory of its own that is gone behind it: below the system's directory for
 * temporary files (TMPDIR).
 *
 * @param say hears how far it is
 * @throws FailedPrecondition with what it failed with, or if it can't be run here
 */
export async function runProbe(spec: RunSpec, say: (sentence: string) => void): Promise<Probed> {
  checkProbeable(spec);
  return withScratch(join(tmpdir(), "retort-probe-"), async (scratch) => {
    const probe = probeOf(spec, join(scratch, "student"));
    say(`running ${counted(resolveRun(probe.spec).totalSteps, "step")} on this machine, to measure ${measuredIn(probe)} of them …`);
    const service = await startOwnService({ dataDir: join(scratch, "data"), progress: say, token: randomUUID() });
    try {
      return { probe, events: await eventsOf(service.controller, probe, say) };
    } finally {
      await service.stop();
    }
  });
}

const measuredIn = ({ legs }: Probe): number => legs.reduce((sum, { measured: [first, last] }) => sum + last - first + 1, 0);

/** @throws FailedPrecondition, naming what keeps a spec from being probed here, and the way out */
function checkProbeable(spec: RunSpec): void {
  const refuse = (why: string) => {
    throw new RetortError("FailedPrecondition", `${why}; or leave --probe out`);
  };
  if (process.env.RETORT_NATS_URL) refuse("RETORT_NATS_URL is set, and a probe has a NATS server of its own: unset it");
  for (const { fieldPath, path } of namedInputs(spec))
    if (isRunReference(path) || isUploadReference(path))
      refuse(`${fieldPath} is ${path}, which a controller knows and this machine doesn't: name a directory (\`retort export\` makes one)`);
}

async function eventsOf(controller: ControllerClient, { spec }: Probe, say: (sentence: string) => void): Promise<RunEvent[]> {
  const { runId } = runOf(await controller.startRun({ spec }));
  const events: RunEvent[] = [];
  for await (const event of followRun(controller, runId, { signal: new AbortController().signal, say })) {
    events.push(event);
    if (event.event.case !== "stepFinished") continue;
    const { step, totalSteps, seconds } = event.event.value;
    say(`step ${step} of ${totalSteps}: ${seconds.toFixed(2)} s`);
  }
  const { state, message } = runOf(await controller.getRun({ runId }));
  if (state !== RunState.SUCCEEDED) throw new RetortError("FailedPrecondition", `the probe ${RunState[state].toLowerCase()}: ${message}`);
  return events;
}
