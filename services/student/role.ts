import { basename } from "node:path";
import { RetortError } from "../shared/base/errors.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { strayToken } from "../shared/base/rpc/foreign-address.js";
import { Policy } from "../shared/codec/policy.js";
import { chatOfData } from "../shared/flow/runs/chat.js";
import { announceModel } from "../shared/flow/runs/events.js";
import { memberRole } from "../shared/flow/runs/member-role.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { Work } from "../shared/gen/retort/v1/events_pb.js";
import type { ModelDescription } from "../shared/ml/host/model-host.js";
import { openaiServer } from "../shared/openai/serve.js";
import type { ServedModel } from "../shared/openai/served-model.js";
import { foreignEnvironments, type StudentSettings } from "./config.js";
import { environments } from "./environments/table.js";
import { Episodes } from "./episodes.js";
import { StudentMeters } from "./meters.js";
import { sampleTasks } from "./sample-tasks.js";
import { studentService } from "./service.js";
import { StudentModel } from "./student-model.js";

/** The longest that a stop waits for environments that are being asked. */
const longestDrainMs = 5000;

/** What drives the turns of a run with an environment; undefined where a completion is one turn. */
async function episodesOf(
  { run, runs, runId, spec }: Membership,
  model: StudentModel,
  settings: StudentSettings,
): Promise<Episodes | undefined> {
  const { environment, stepTimeoutMs } = run;
  if (!environment) return undefined;
  const { kind, address, maxTurns, maxReplyTokens } = environment;
  const chat = chatOfData(spec.data, (await runs.get(runId)).created);
  const rules = { maxTurns, maxReplyTokens, chat, stepTimeoutMs };
  return new Episodes(environments[kind](address, foreignEnvironments(settings)), model, rules);
}

/** The student: writes the rollouts of a run, or completions for its callers. */
export function studentRole(context: RoleContext<StudentSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const stray = strayToken(foreignEnvironments(settings), "environment");
  if (stray) log.warn(stray);
  return memberRole(context, ["student"], ({ fail, closing }) => {
    const model = new StudentModel(settings);
    const meters = new StudentMeters(metrics);
    let policy: Policy | undefined;
    let episodes: Episodes | undefined;
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
        episodes = await episodesOf(membership, model, settings);
        const drainMs = Math.min(longestDrainMs, settings.graceMs / 4);
        return () => [sampleTasks(membership, { model, policy: followed, episodes, meters, log, drainMs })];
      },
      alone: async () => {
        if (!settings.model)
          throw new RetortError("InvalidArgument", "a student that stands alone needs --model DIR; one that serves a run needs --run ID");
        opened = await model.open({ directory: settings.model });
        const { parameters, architecture, dtype, precision } = opened;
        log.info({ parameters, architecture, dtype, precision }, "the model is loaded");
      },
      close: async () => {
        episodes?.close();
        await model.close();
        await policy?.release();
      },
    };
  });
}
