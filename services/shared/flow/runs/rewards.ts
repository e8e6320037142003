import type { Problem } from "../../base/errors.js";
import type { RewardSpec } from "../../gen/retort/v1/run_pb.js";

/** What is wrong with a run's rewards: what a kind needs and is not given, or cannot be meant. */
export function rewardProblems(rewards: readonly RewardSpec[]): Problem[] {
  return rewards.flatMap((reward, i) => {
    const wrong = wrongWith(reward);
    return wrong ? [{ fieldPath: `rewards[${i}].${wrong[0]}`, description: wrong[1] }] : [];
  });
}

function wrongWith({ kind, weight, pattern, targetTokens, address }: RewardSpec): readonly [string, string] | undefined {
  if (weight !== undefined && !Number.isFinite(weight)) return ["weight", `is ${weight}; a weight must be finite`];
  if (kind === "regex") {
    if (pattern === "") return ["pattern", "is empty, which every completion matches; give a regular expression"];
    const error = syntaxError(pattern);
    if (error) return ["pattern", `is no regular expression: ${error}`];
  }
  if (kind === "length" && targetTokens === 0) return ["targetTokens", "is missing; say how many tokens cost nothing"];
  if (kind === "external" && !/^.+:\d+$/.test(address)) return ["address", `is "${address}"; give host:port of a server of RewardService`];
  return undefined;
}

function syntaxError(pattern: string): string | undefined {
  try {
    new RegExp(pattern, "u");
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
