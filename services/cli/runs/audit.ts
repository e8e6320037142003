import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { type AuditFinished, AuditFinishedSchema } from "../../shared/gen/retort/v1/events_pb.js";
import { addCommand, print } from "../command.js";
import { type ControllerOptions, controllerOptions, withController } from "./controller.js";
import { findRun } from "./find-run.js";

/** Adds `retort audit`. */
export function addAuditCommand(program: Command): void {
  const command = addCommand(program, "Runs:", "audit <run>", "account for every sample of every step, from what is stored", [
    ["audit on-policy-251125-…", "each was trained on, or has another recorded outcome"],
    ["audit on-policy-251125-… --json | jq .failures", "why samples were not trained on, and how often"],
  ]);
  controllerOptions(command).action((named: string, options: ControllerOptions) =>
    withController(options, async (controller) => {
      const runId = await findRun(controller, named);
      const audit = found((await controller.auditRun({ runId })).audit, "the audit of the controller's answer");
      print(program, toJson(AuditFinishedSchema, audit), auditText(audit));
      if (!audit.holds)
        throw new RetortError(
          "DataLoss",
          `run ${runId}: ${counted(audit.problems.length, "sample or step is", "samples or steps are")} not accounted for`,
        );
    }),
  );
}

/** An audit as text for people. */
export function auditText({ steps, samples, trained, failed, repeatedSteps, learners, problems, failures }: AuditFinished): string {
  const lost = repeatedSteps ? `; ${counted(repeatedSteps, "step was", "steps were")} trained again after a learner was lost` : "";
  return [
    `${counted(steps, "step")}, ${counted(samples, "sample")}: ${trained} trained on, ${failed} with another outcome${lost} (learners: ${learners})`,
    ...Object.entries(failures).map(([reason, times]) => `  ${times} × ${reason}`),
    ...problems.map((problem) => `  NOT ACCOUNTED FOR: ${problem}`),
  ].join("\n");
}
