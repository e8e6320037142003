import { hostname } from "node:os";
import { create } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import type { RoleContext } from "../shared/base/role.js";
import { consume, type Delivery } from "../shared/base/streams/consume.js";
import { publishReward } from "../shared/flow/results/publish-results.js";
import { readRollout } from "../shared/flow/rollouts/publish-rollout.js";
import type { Work } from "../shared/flow/runs/member-role.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import { membersOf } from "../shared/flow/together.js";
import { Work as Activity } from "../shared/gen/retort/v1/events_pb.js";
import { RewardSchema, type Rollout } from "../shared/gen/retort/v1/flow_pb.js";
import type { RewardSettings } from "./config.js";
import { evaluate } from "./evaluator.js";
import type { RewardMeters } from "./meters.js";
import type { RewardJudges } from "./reward-judges.js";

const worker = `${hostname()}/${process.pid}`;

/** The longest that a stop waits for completions that are being judged. */
const longestDrainMs = 5000;

/** Judges the rollouts of a run that ask for a reward. */
export function judgeRollouts(
  { settings, log }: RoleContext<RewardSettings>,
  membership: Membership,
  judges: RewardJudges,
  meters: RewardMeters,
): Work {
  const { streams, runId, run, process } = membership;
  process.reads(streamNames.rollouts, durables.reward(runId));
  const consumption = consume(streams, {
    stream: streamNames.rollouts,
    durable: durables.reward(runId),
    span: "evaluate",
    concurrency: 8,
    patienceMs: run.stepTimeoutMs,
    log,
    handler: process.handling(Activity.REWARDING, (delivery) => judgeMessage(delivery, membership, judges, meters)),
  });
  return {
    done: consumption.done,
    stop: async () => {
      // What takes longer to be judged is given back: another reward process, or this one started again, goes on with it.
      const late = setTimeout(() => void judges.stop(), Math.min(longestDrainMs, settings.graceMs / 4));
      await consumption.stop();
      clearTimeout(late);
    },
  };
}

/** Judges the rollouts of a message side by side. Doing it twice is harmless: the first stored reward of each counts. */
async function judgeMessage({ data, attempt }: Delivery, ...surroundings: [Membership, RewardJudges, RewardMeters]): Promise<void> {
  const judged = membersOf(readRollout(data)).map((rollout) => judgeRollout(rollout, attempt, ...surroundings));
  // All are waited for: one that fails keeps no other from its result.
  await Promise.allSettled(judged);
  await Promise.all(judged);
}

async function judgeRollout(
  rollout: Rollout,
  attempt: number,
  { streams, spec, run, process }: Membership,
  judges: RewardJudges,
  meters: RewardMeters,
): Promise<void> {
  if (!rollout.rewarded) return;
  const started = performance.now();
  const written = rollout.sequences.filter(({ failure }) => !failure);
  const values = await evaluate(written.map(inputOf), spec.rewards, judges.forRun(run.stepTimeoutMs)).catch((thrown: unknown) => {
    const error = RetortError.from(thrown);
    if (judges.hurry.aborted || !error.isFinal(attempt, run.maxAttempts)) throw error;
    return error.message;
  });
  const seconds = (performance.now() - started) / 1000;
  await publishReward(streams, create(RewardSchema, { key: rollout.key, rewards: records(rollout, values), worker, seconds }));
  meters.evaluated(written.length, seconds);
  process.tokens(written.reduce((sum, sequence) => sum + inputOf(sequence).completionTokens, 0));
}

function inputOf({ promptText, completionText, reference, completionIds, environmentReward }: Rollout["sequences"][number]) {
  return { prompt: promptText, completion: completionText, reference, completionTokens: completionIds?.shape[0] ?? 0, environmentReward };
}

/** One record per sequence: its evaluation, or why it has none. */
function records({ sequences }: Rollout, values: Awaited<ReturnType<typeof evaluate>> | string) {
  let next = 0;
  return sequences.map(({ failure }) => {
    if (failure) return { failure };
    if (typeof values === "string") return { failure: values };
    const { components, ...rest } = values[next++]!;
    return { ...rest, components: { ...components } };
  });
}
