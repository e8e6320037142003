import { RetortError } from "../shared/base/errors.js";
import type { Roots } from "../shared/base/paths.js";
import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import { anywhere } from "../shared/flow/runs/paths.js";
import { RewardService } from "../shared/gen/retort/v1/reward_pb.js";
import { evaluate, type Judges, rewardKinds } from "./evaluator.js";
import type { TextJudges } from "./text-judges.js";

/** RewardService over the rewards. @param roots where the classifiers that callers name may lie */
export function rewardService(judges: Judges, texts: TextJudges, roots: Roots = anywhere.roots): Implementation {
  return implement(RewardService, {
    describe: async () => ({ kinds: rewardKinds }),
    evaluate: async ({ inputs, rewards }) => {
      if (rewards.length === 0)
        throw new RetortError("InvalidArgument", `rewards is empty; name at least one of ${rewardKinds.join(", ")}`, {
          fieldPath: "rewards",
        });
      for (const [i, { model }] of rewards.entries()) if (model) await roots.check(model, `rewards[${i}].model`);
      const problems = await texts.problems(rewards);
      if (problems.length) throw RetortError.ofProblems("rewards", problems);
      const evaluations = await evaluate(inputs, rewards, judges);
      return { rewards: evaluations.map(({ components, ...rest }) => ({ ...rest, components: { ...components } })) };
    },
  });
}
