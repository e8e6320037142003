import { type Problem, RetortError } from "../../base/errors.js";
import { parseTemplate } from "../../base/jinja/text-template.js";
import { isForeignAddress } from "../../base/rpc/foreign-address.js";
import type { RewardSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { closedValues } from "./closed-values.js";

/** What a classifier reads unless a reward says otherwise. */
export const defaultTemplate = "{{ prompt }}{{ completion }}";

/** What a reward's templates can name. */
const templateNames = ["prompt", "completion", "reference"];

/** Rewards that compare a completion with a reference: what an evaluation's metric can be. */
const comparing: readonly string[] = closedValues["EvaluationSpec.metric"];

/** True if a reward reads the reference. */
export const readsReference = ({ kind, template, pairTemplate }: RewardSpec): boolean =>
  comparing.includes(kind) ||
  (kind === "classifier" && [template, pairTemplate].some((source) => parseTemplate(source).names.includes("reference")));

/** What is wrong with a run's rewards: what a kind needs and is not given, or cannot be meant. */
export function rewardProblems(rewards: readonly RewardSpec[]): Problem[] {
  return rewards.flatMap((reward, i) => {
    const wrong = wrongWith(reward);
    return wrong ? [{ fieldPath: `rewards[${i}].${wrong[0]}`, description: wrong[1] }] : [];
  });
}

type Wrong = readonly [field: string, description: string] | undefined;

function wrongWith(reward: RewardSpec): Wrong {
  const { kind, weight, pattern, targetTokens, address } = reward;
  if (weight !== undefined && !Number.isFinite(weight)) return ["weight", `is ${weight}; a weight must be finite`];
  if (kind === "regex") {
    if (pattern === "") return ["pattern", "is empty, which every completion matches; give a regular expression"];
    if (groupDepth(pattern) > deepestGroup) return ["pattern", `has more than ${deepestGroup} groups within each other; write it flatter`];
    const error = syntaxError(pattern);
    if (error) return ["pattern", `is no regular expression: ${error}`];
  }
  if (kind === "length" && targetTokens === 0) return ["targetTokens", "is missing; say how many tokens cost nothing"];
  if (kind === "external" && !isForeignAddress(address))
    return ["address", `is "${address}"; give host:port, or https://host:port, of a server of RewardService`];
  return kind === "classifier" ? wrongWithClassifier(reward) : undefined;
}

function wrongWithClassifier({ model, template, pairTemplate }: RewardSpec): Wrong {
  if (model === "") return ["model", "is missing; name a classifier's directory, or an ONNX file"];
  const read: string[] = [];
  for (const [field, source] of [
    ["template", template || defaultTemplate],
    ["pairTemplate", pairTemplate],
  ] as const) {
    try {
      const { names, render } = parseTemplate(source);
      const stray = names.find((name) => !templateNames.includes(name));
      if (stray) return [field, `names "${stray}"; a template can name ${templateNames.join(", ")}`];
      render(Object.fromEntries(templateNames.map((name) => [name, name])));
      read.push(...names);
    } catch (error) {
      return [field, RetortError.from(error).message];
    }
  }
  if (read.includes("completion")) return undefined;
  return ["template", "does not name the completion, so that every completion would get the same reward; add {{ completion }}"];
}

/** Most groups within each other: compiling more takes longer than it could be stopped. */
const deepestGroup = 100;

/** At least how many groups of a pattern are within each other; brackets that are escaped or in classes count too. */
function groupDepth(pattern: string): number {
  let [depth, most] = [0, 0];
  for (const character of pattern) {
    if (character === "(") most = Math.max(most, ++depth);
    else if (character === ")") depth = Math.max(0, depth - 1);
  }
  return most;
}

function syntaxError(pattern: string): string | undefined {
  try {
    new RegExp(pattern, "u");
    return undefined;
  } catch (error) {
    // The engine's sentence begins with the whole pattern.
    return (error as Error).message.replace(/^Invalid regular expression: .*: (?=[^:]*$)/s, "");
  }
}
