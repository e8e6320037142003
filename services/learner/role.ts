import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { threadCount } from "../shared/base/settings.js";
import { spawnWorker } from "../shared/base/workers.js";
import { memberRole } from "../shared/flow/runs/member-role.js";
import { specRootsOf } from "../shared/flow/runs/paths.js";
import type { LearnerSettings } from "./config.js";
import type { TrainHost } from "./model/train-host.js";
import { LearnerProgress } from "./progress.js";
import { trainRun } from "./run/train-run.js";
import { learnerService } from "./service.js";
import { Standalone } from "./standalone/standalone.js";

/** The learner: trains the student of a run, or takes optimiser steps on batches that it is given. */
export function learnerRole(context: RoleContext<LearnerSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const { run: runId = "", dataDir, device, dtype } = settings;
  return memberRole(context, ["learner"], ({ fail }) => {
    const { api: host, crashed, close } = spawnWorker<TrainHost>(new URL("./model/train-worker.js", import.meta.url));
    const trainer = { device, threads: threadCount(settings.threads) };
    const progress = new LearnerProgress(metrics);
    const standalone = new Standalone(host, { directory: settings.model, dtype }, trainer);
    crashed.then(fail);
    const learner = { runId, host, standalone, status: () => (runId ? progress.status() : standalone.status()) };
    return {
      implementations: [learnerService(learner, specRootsOf(settings))],
      join: async (membership) => {
        progress.expect(membership.run);
        return () => [trainRun({ membership, host, log, dataDir, dtype, progress, ...trainer })];
      },
      alone: () => standalone.open(),
      close,
    };
  });
}
