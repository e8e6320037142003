import { hostname } from "node:os";
import { create } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import type { Service } from "../shared/base/lifecycle.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { threadCount } from "../shared/base/settings.js";
import { type Consumption, consume, type Delivery } from "../shared/base/streams/consume.js";
import { publishReward } from "../shared/flow/results/publish-results.js";
import { readRollout } from "../shared/flow/rollouts/publish-rollout.js";
import { joinRun, type Membership, patience, registration } from "../shared/flow/runs/membership.js";
import { specRootsOf } from "../shared/flow/runs/paths.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import { RewardSchema, type Rollout } from "../shared/gen/retort/v1/flow_pb.js";
import { Classifiers } from "./classifiers.js";
import type { RewardSettings } from "./config.js";
import { evaluate, type Judges } from "./evaluator.js";
import { ExternalJudges } from "./external-judges.js";
import { hostsOf } from "./judge-tokens.js";
import { rewardService } from "./service.js";
import { TextJudges } from "./text-judges.js";

const worker = `${hostname()}/${process.pid}`;

/** Most tokens of one forward of a classifier, padding included. */
const batchTokens = 8192;

/** How long a judge may be away: until there is just time left for its failure to be recorded before the step gives up. */
const patienceOf = (stepTimeoutMs: number): number => Math.max(stepTimeoutMs / 2, stepTimeoutMs - 15_000);

/** The longest that a stop waits for completions that are being judged. */
const longestDrainMs = 5000;

/** The reward role: judges the rollouts of a run, or completions for whoever calls it. */
export function rewardRole(context: RoleContext<RewardSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const evaluated = metrics.counter("completions_total", "completions evaluated");
  const duration = metrics.seconds("evaluate", "time to evaluate a rollout");
  const texts = new TextJudges();
  /** Aborted when a stop waits no longer for judgements. */
  const hurry = new AbortController();
  if (settings.rewardToken !== undefined && hostsOf(settings.rewardTokenHosts).length === 0)
    log.warn("the reward token goes nowhere: name the reward servers that get it with --reward-token-hosts");
  const external = new ExternalJudges(settings);
  const { device, threads } = settings;
  const classifiers = new Classifiers(
    { device, threads: threadCount(threads), batchTokens },
    (inputs, spec) => texts.render(inputs, spec),
    (error) => fail(error),
  );
  const judges: Judges = {
    text: (inputs, spec) => texts.judge(inputs, spec),
    classifier: (inputs, spec) => classifiers.judge(inputs, spec),
    // Whoever calls knows better how long to wait, and may call again.
    external: (inputs, spec) => external.judge(inputs, spec, { patienceMs: 0, signal: hurry.signal }),
  };
  const ofRun: Judges = {
    ...judges,
    external: (inputs, spec) =>
      external.judgeOrFail(inputs, spec, { patienceMs: patienceOf(membership!.run.stepTimeoutMs), signal: hurry.signal }),
  };
  let membership: Membership | undefined;
  let consumption: Consumption | undefined;
  let fail: (error: RetortError) => void = () => {};
  const finished = new Promise<void>((_, reject) => {
    fail = reject;
  });
  const judge = async ({ data, attempt }: Delivery) => {
    const rollout = readRollout(data);
    if (!rollout.rewarded) return;
    const { streams, spec, run } = membership!;
    const started = performance.now();
    const written = rollout.sequences.filter(({ failure }) => !failure);
    const values = await evaluate(written.map(inputOf), spec.rewards, ofRun).catch((error: unknown) => {
      const { message, disposition } = RetortError.from(error);
      // What passes by itself is no outcome. A bug may be this process's own: another one gets to try, until the last attempt.
      const another = disposition === "giveBack" || (disposition === "fail" && attempt < run.maxAttempts);
      if (hurry.signal.aborted || another) throw error;
      return message;
    });
    const seconds = (performance.now() - started) / 1000;
    await publishReward(streams, create(RewardSchema, { key: rollout.key, rewards: records(rollout, values), worker, seconds }));
    evaluated.inc(written.length);
    duration.observe(seconds);
  };
  const work: Service = {
    name: "rollouts",
    start: async () => {
      if (!settings.run) return;
      membership = await joinRun(settings.run, settings, "reward");
      for (const reward of membership.spec.rewards.filter(({ kind }) => kind === "classifier")) await classifiers.open(reward);
      consumption = consume(membership.streams, {
        stream: streamNames.rollouts,
        durable: durables.reward(settings.run),
        span: "evaluate",
        concurrency: 8,
        patienceMs: membership.run.stepTimeoutMs,
        log,
        handler: judge,
      });
      consumption.done.catch((error: RetortError) => fail(error));
      await registration(context, () => membership!).start!();
    },
    stop: async () => {
      // What takes longer to be judged is given back: another reward process, or this one started again, goes on with it.
      const late = setTimeout(() => void judging.stop!(), Math.min(longestDrainMs, settings.graceMs / 4));
      await consumption?.stop();
      clearTimeout(late);
      if (membership) await registration(context, () => membership!).stop!();
      await membership?.streams.close();
    },
  };
  // Ends after the server, whose calls may be waiting for a judgement.
  const judging: Service = {
    name: "judges",
    start: async () => {},
    stop: async () => {
      hurry.abort(new RetortError("Cancelled", "the reward process stops"));
      external.close();
      await Promise.all([texts.stop(), classifiers.stop()]);
    },
  };
  return {
    before: [judging],
    implementations: [rewardService(judges, texts, specRootsOf(settings).roots)],
    after: [work, patience(() => membership)],
    finished,
  };
}

function inputOf({ promptText, completionText, reference, completionIds }: Rollout["sequences"][number]) {
  return { prompt: promptText, completion: completionText, reference, completionTokens: completionIds?.shape[0] ?? 0 };
}

/** One record per sequence: its evaluation, or why it has none. */
function records({ sequences }: Rollout, values: Awaited<ReturnType<typeof evaluate>> | string) {
  let next = 0;
  return sequences.map(({ failure }) => {
    if (failure || typeof values === "string") return { failure: failure || (values as string) };
    const { components, ...rest } = values[next++]!;
    return { ...rest, components: { ...components } };
  });
}
