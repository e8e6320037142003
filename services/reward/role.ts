import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { strayToken } from "../shared/base/rpc/foreign-address.js";
import { memberRole } from "../shared/flow/runs/member-role.js";
import { specRootsOf } from "../shared/flow/runs/paths.js";
import { checkNotRefused } from "../shared/ml/runtime/refused-devices.js";
import { foreignJudges, type RewardSettings } from "./config.js";
import { judgeRollouts } from "./judge-rollouts.js";
import { RewardMeters } from "./meters.js";
import { RewardJudges } from "./reward-judges.js";
import { rewardService } from "./service.js";

/** The reward role: judges the rollouts of a run, or completions for its callers. */
export function rewardRole(context: RoleContext<RewardSettings>): RoleParts {
  const { settings, log, metrics } = context;
  // Others of its device are said when a classifier is opened, which may never be.
  checkNotRefused(settings.device);
  const stray = strayToken(foreignJudges(settings), "reward");
  if (stray) log.warn(stray);
  return memberRole(context, ["reward"], ({ fail }) => {
    const judges = new RewardJudges(settings, fail);
    const meters = new RewardMeters(metrics);
    return {
      implementations: [rewardService(judges.forCalls, judges.texts, specRootsOf(settings).roots)],
      join: async (membership) => {
        await judges.open(membership.spec.rewards);
        return () => [judgeRollouts(context, membership, judges, meters)];
      },
      // Judges are opened when they are first asked for.
      alone: async () => {},
      close: () => judges.stop(),
    };
  });
}
