import { basename } from "node:path";
import { RetortError } from "../shared/base/errors.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { announceModel } from "../shared/flow/runs/events.js";
import { memberRole } from "../shared/flow/runs/member-role.js";
import { Work } from "../shared/gen/retort/v1/events_pb.js";
import type { ModelDescription } from "../shared/ml/host/model-host.js";
import { openaiServer } from "../shared/openai/serve.js";
import type { ServedModel } from "../shared/openai/served-model.js";
import type { StudentSettings } from "./config.js";
import { StudentMeters } from "./meters.js";
import { Policy } from "./policy.js";
import { sampleTasks } from "./sample-tasks.js";
import { studentService } from "./service.js";
import { StudentModel } from "./student-model.js";

/** The student: writes the rollouts of a run, or completions for its callers. */
export function studentRole(context: RoleContext<StudentSettings>): RoleParts {
  const { settings, log, metrics } = context;
  return memberRole(context, ["student"], ({ fail, closing }) => {
    const model = new StudentModel(settings);
    const meters = new StudentMeters(metrics);
    let policy: Policy | undefined;
    model.crashed.then(fail);
    const status = () => {
      const { tasksDone, tokensSampled } = meters;
      return { runId: settings.run ?? "", policyVersion: Math.max(0, policy?.version ?? 0), tasksDone, tokensSampled };
    };
    let opened: ModelDescription | undefined;
    const served = (): ServedModel => {
      if (!opened) throw new RetortError("Unavailable", "the student's model is still being opened; call again");
      const { run, model: directory = "" } = settings;
      const fingerprint = policy ? `policy version ${Math.max(0, policy.version)}` : opened.digest;
      return { name: run ?? basename(directory), maxPositions: opened.maxPositions, fingerprint, model };
    };
    return {
      implementations: [studentService(model, status)],
      server: openaiServer(context, served),
      join: async (membership) => {
        const { runId, runs, store, name } = membership;
        const directory = store.holding(runId, name);
        const followed = new Policy({ runId, store, directory }, runs, (weights) => model.useWeights(weights), log);
        policy = followed;
        followed.follow(closing).catch(fail);
        const first = await membership.process.during(Work.WAITING, "the run's first weights", () => followed.first(closing));
        opened = await model.open(first);
        await announceModel(membership, ["student"], opened);
        return () => [sampleTasks(membership, model, followed, meters, log)];
      },
      alone: async () => {
        if (!settings.model)
          throw new RetortError("InvalidArgument", "a student that stands alone needs --model DIR; one that serves a run needs --run ID");
        opened = await model.open({ directory: settings.model });
        const { parameters, architecture, dtype, precision } = opened;
        log.info({ parameters, architecture, dtype, precision }, "the model is loaded");
      },
      close: async () => {
        await model.close();
        await policy?.release();
      },
    };
  });
}
