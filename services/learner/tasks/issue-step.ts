import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../../shared/base/errors.js";
import type { Item } from "../../shared/codec/examples.js";
import { signalFor } from "../../shared/codec/signal-spec.js";
import { toRecord } from "../../shared/flow/arrays.js";
import { promptsPerTask, type StepPlan } from "../../shared/flow/prompts/plan.js";
import { RolloutSender } from "../../shared/flow/rollouts/publish-rollout.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import { needsReward, needsScore, type Phase, type ResolvedRun, type SamplingSettings } from "../../shared/flow/runs/resolve.js";
import { FinishReason, Purpose, RolloutSchema, type SequenceSchema, Source } from "../../shared/gen/retort/v1/flow_pb.js";
import type { PlannedPrompt, PlannedTask } from "./planned-task.js";
import { plannedShare, publishShares, type Share, sharesOf } from "./shares.js";

/**
 * Hands out the tasks of an optimiser step; issuing a step again is harmless. Returns them in their order.
 *
 * @param attempt the learner's fence: what an earlier learner had issued is issued again, and its results are no longer asked for
 */
export async function issueStep(
  membership: Membership,
  plan: StepPlan,
  items: readonly Item[],
  attempt: number,
): Promise<readonly PlannedTask[]> {
  const { run, runId } = membership;
  const { step, phase } = plan;
  const signal = needsScore(phase.objective) ? signalFor(phase.objective) : undefined;
  const shares = sharesOf(plan.tasks, items, run, signal, signal && { ...signal, tokenizer: "own" });
  const planned = shares.map((share, task): PlannedTask => {
    const key = { runId, purpose: Purpose.TRAIN as const, step, task, attempt };
    const versions = { min: Math.max(0, step - 1 - run.maxStaleness), max: step - 1 };
    return { key, versions, ...plannedShare(share), ...(plan.onPolicy ? sampledTask(phase, run) : datasetTask(phase, share)) };
  });
  const handout = { sampling: samplingOf(phase), sampler: "", promptsTogether: promptsPerTask(run, phase) };
  if (plan.onPolicy) await publishShares(membership, shares, planned, handout);
  else await publishDatasetTexts(membership, shares, planned);
  return planned;
}

type Writing = Pick<PlannedTask, "source" | "samplesPerPrompt" | "maxNewTokens" | "maxReplyTokens" | "rewarded">;

/** A task whose completions the students sample. */
const sampledTask = (phase: Phase, { environment }: ResolvedRun): Writing => ({
  source: Source.STUDENT,
  samplesPerPrompt: phase.samplesPerPrompt,
  maxNewTokens: samplingOf(phase).maxNewTokens,
  maxReplyTokens: environment?.maxReplyTokens ?? 0,
  rewarded: needsReward(phase.objective),
});

/** A task whose completions are the dataset's own. */
const datasetTask = (phase: Phase, share: Share): Writing & Pick<PlannedTask, "prompts"> => ({
  source: Source.DATASET,
  samplesPerPrompt: 1,
  maxNewTokens: withinPrefix(phase).maxNewTokens,
  maxReplyTokens: 0,
  rewarded: false,
  prompts: plannedShare(share).prompts.map((prompt, i) => ({
    ...prompt,
    completionIds: firstOf(completionOf(share.items[i]!), phase.objective.prefixTokens),
  })),
});

/** How the students sample: where no reward judges the whole completion, what does not count need not be written. */
const samplingOf = (phase: Phase): SamplingSettings => (needsReward(phase.objective) ? phase.sampling : withinPrefix(phase));

function withinPrefix({ sampling, objective: { prefixTokens } }: Phase): SamplingSettings {
  return prefixTokens ? { ...sampling, maxNewTokens: Math.min(sampling.maxNewTokens, prefixTokens) } : sampling;
}

/** Sends the dataset's own completions on, as if a student had written them. */
async function publishDatasetTexts({ streams }: Membership, shares: readonly Share[], planned: readonly PlannedTask[]): Promise<void> {
  const sender = new RolloutSender(streams);
  for (const [task, { teacher, signal, items }] of shares.entries()) {
    const { key, prompts } = planned[task]!;
    const sequences = items.map((item, prompt) => datasetSequence(item, prompt, prompts[prompt]!));
    await sender.add(create(RolloutSchema, { key, source: Source.DATASET, teacher, signal, sequences }));
  }
  await sender.end();
}

/** @param planned what is sent of the item: as much of its completion as counts */
function datasetSequence(item: Item, prompt: number, planned: PlannedPrompt): MessageInitShape<typeof SequenceSchema> {
  const { promptText, reference } = item;
  const { ids, teacherPromptIds, completionIds = completionOf(item) } = planned;
  return {
    prompt,
    promptText,
    reference,
    promptIds: toRecord(ids),
    completionIds: toRecord(completionIds),
    ...(teacherPromptIds && { teacherPromptIds: toRecord(teacherPromptIds) }),
    finish: completionIds.length < completionOf(item).length ? FinishReason.LENGTH : FinishReason.STOP,
  };
}

/** The first `prefixTokens` of a completion, or all of it for 0. */
const firstOf = (completionIds: Int32Array, prefixTokens: number): Int32Array =>
  prefixTokens > 0 ? completionIds.slice(0, prefixTokens) : completionIds;

/** A row's completion. Steps on the dataset's texts are planned over rows that have one. */
function completionOf({ completionIds, promptText }: Item): Int32Array {
  if (completionIds) return completionIds;
  throw new RetortError(
    "Internal",
    `a step on the dataset's texts was planned over a row without a completion: ${promptText.slice(0, 80)}`,
  );
}
