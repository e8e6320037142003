import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../../../services/shared/base/errors.js";
import { createLog } from "../../../services/shared/base/log.js";
import { implement } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { publishReward } from "../../../services/shared/flow/results/publish-results.js";
import { publishRollout, RolloutSender, readRollout } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { durables, streamNames } from "../../../services/shared/flow/streams.js";
import { subjects } from "../../../services/shared/flow/subjects.js";
import {
  Purpose,
  type Reward,
  RewardSchema,
  type Rollout,
  RolloutSchema,
  type SequenceSchema,
  Source,
} from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { RewardService } from "../../../services/shared/gen/retort/v1/reward_pb.js";
import { type RoleProcess, RunBench } from "../../support/runs/run-bench.js";
import { eventually } from "../../support/servers/nats.js";

// The test is the student (rollouts), a server of RewardService elsewhere, and whoever reads the rewards.
describe("a reward process", () => {
  let bench: RunBench;
  let reward: RoleProcess;
  let external: RpcServer;
  /** What the server elsewhere does with each call. */
  let judge: (completions: readonly string[]) => Promise<number[]>;
  let calls = 0;
  const durable = durables.reward("bench");

  beforeAll(async () => {
    const service = implement(RewardService, {
      describe: async () => ({ kinds: [] }),
      evaluate: async ({ inputs }) => {
        calls++;
        const values = await judge(inputs.map(({ completion }) => completion));
        return { rewards: values.map((value) => ({ value })) };
      },
    });
    const options = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e6 };
    external = new RpcServer([service], options, createLog("test", { level: "silent", format: "json" }));
    await external.start();
    bench = await RunBench.start(`
rewards: [{ kind: exact_match }, { kind: external, weight: 10, address: "127.0.0.1:${external.port}" }]
rollouts: { maxAttempts: 3, stepTimeoutMs: 4000 }
phases: [{ preset: rl, steps: 9 }]`);
    reward = bench.role("reward");
  });
  beforeEach(() => {
    calls = 0;
    judge = async (completions) => completions.map((completion) => completion.length);
  });
  afterAll(async () => {
    await bench.stop();
    await external.stop();
  });

  let next = 0;
  const rolloutOf = (sequences: readonly MessageInitShape<typeof SequenceSchema>[]): Rollout =>
    create(RolloutSchema, {
      key: { runId: "bench", purpose: Purpose.TRAIN, step: 1, task: next++, attempt: 1 },
      source: Source.STUDENT,
      sequences: [...sequences],
      rewarded: true,
    });
  const rewardsOf = async ({ key }: Rollout): Promise<Reward> => fromBinary(RewardSchema, await bench.result(key!, "reward"));

  it("gives every completion the weighted sum of its rewards, with the terms", async () => {
    const rollout = rolloutOf([
      { completionText: "one", reference: "one" },
      { completionText: "three", reference: "two" },
    ]);
    await publishRollout(bench.streams, rollout);
    expect((await rewardsOf(rollout)).rewards).toMatchObject([
      { value: 31, components: { exact_match: 1, external: 3 }, failure: "" },
      { value: 50, components: { exact_match: 0, external: 5 }, failure: "" },
    ]);
    await bench.idle(streamNames.rollouts, durable);
  });

  it("judges the rollouts of a message, and gives each a result of its own", async () => {
    const rollouts = ["one", "three"].map((completionText) => rolloutOf([{ completionText, reference: "one" }, { failure: "too long" }]));
    const sender = new RolloutSender(bench.streams);
    for (const rollout of rollouts) await sender.add(rollout);
    await sender.end();
    const results = await Promise.all(rollouts.map(rewardsOf));
    expect(results.map(({ rewards }) => rewards)).toMatchObject([
      [{ value: 31 }, { failure: "too long" }],
      [{ value: 50 }, { failure: "too long" }],
    ]);
    await bench.idle(streamNames.rollouts, durable);
  });

  it("passes over rollouts that nobody wants rewarded", async () => {
    const rollout = create(RolloutSchema, { ...rolloutOf([{ completionText: "one" }]), rewarded: false, teacher: "default" });
    await publishRollout(bench.streams, rollout);
    await bench.idle(streamNames.rollouts, durable);
    expect([await bench.stored(rollout.key!, "reward"), calls]).toEqual([undefined, 0]);
  });

  it("does nothing twice when a rollout comes again: the first reward stays", async () => {
    const rollout = rolloutOf([{ completionText: "one" }]);
    await publishRollout(bench.streams, rollout);
    const first = await bench.result(rollout.key!, "reward");
    judge = async () => [1000];
    await publishRollout(bench.streams, create(RolloutSchema, { ...rollout, key: { ...rollout.key!, attempt: 2 } }));
    await bench.idle(streamNames.rollouts, durable);
    expect(calls).toBe(2);
    expect(Buffer.compare((await bench.stored(rollout.key!, "reward"))!, first)).toBe(0);
  });

  it("leaves out what could not be written, and rewards the others", async () => {
    const rollout = rolloutOf([{ failure: "too long" }, { completionText: "ab" }]);
    await publishRollout(bench.streams, rollout);
    expect((await rewardsOf(rollout)).rewards).toMatchObject([{ failure: "too long" }, { value: 20, failure: "" }]);
  });

  it.each<[string, () => Promise<number[]>, number, RegExp]>([
    [
      "is away for long",
      () => Promise.reject(new RetortError("Unavailable", "on fire")),
      4,
      /at 127\.0\.0\.1:\d+ failed: .* for \d\.\d s, however often.*on fire/,
    ],
    ["refuses the completions", () => Promise.reject(new RetortError("InvalidArgument", "not my language")), 1, /not my language/],
    ["gives a number too few", async () => [], 1, /0 rewards for 1/],
    ["gives what is no number", async () => [Number.NaN], 1, /NaN/],
    ["gives a number that no batch could hold", async () => [1e300], 1, /1e\+300; a reward must lie within/],
    ["has a fault of its own", () => Promise.reject(new RetortError("Internal", "null is not a function")), 1, /null is not a function/],
  ])("records why there is no reward when the server elsewhere %s", async (_, answer, expected, reason) => {
    judge = answer;
    const rollout = rolloutOf([{ completionText: "one" }]);
    await publishRollout(bench.streams, rollout);
    expect((await rewardsOf(rollout)).rewards).toMatchObject([{ failure: expect.stringMatching(reason) }]);
    expect(expected === 1 ? calls : Math.min(calls, expected)).toBe(expected);
    expect(reward.running).toBe(true);
  });

  it("tries again when the server elsewhere was away for once", async () => {
    judge = async (completions) => {
      if (calls === 1) throw new RetortError("Unavailable", "back in a minute");
      return completions.map(() => 2);
    };
    const rollout = rolloutOf([{ completionText: "one" }]);
    await publishRollout(bench.streams, rollout);
    expect((await rewardsOf(rollout)).rewards).toMatchObject([{ value: 20, failure: "" }]);
  });

  it("drops bytes that are no rollout, and goes on", async () => {
    await bench.rubbish(subjects.rollout(rolloutOf([]).key!, ""));
    const rollout = rolloutOf([{ completionText: "one" }]);
    await publishRollout(bench.streams, rollout);
    expect((await rewardsOf(rollout)).rewards[0]!.value).toBe(30);
    await bench.idle(streamNames.rollouts, durable);
  });

  it("finishes what it has in hand when it is stopped", async () => {
    let finish: () => void = () => {};
    const asked = new Promise<void>((called) => {
      judge = async (completions) => {
        called();
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return completions.map(() => 7);
      };
    });
    const rollout = rolloutOf([{ completionText: "one" }]);
    await publishRollout(bench.streams, rollout);
    await asked;
    const exit = reward.stop();
    await eventually("it knows that it must stop", () => reward.log.includes('"stopping"'));
    expect(await bench.stored(rollout.key!, "reward")).toBeUndefined();
    finish();
    expect(await exit).toBe(0);
    expect((await rewardsOf(rollout)).rewards[0]!.value).toBe(70);
    await bench.idle(streamNames.rollouts, durable);
  });

  it("takes over the rollout of a worker that was lost, before and after that one had stored its rewards", async () => {
    const [unjudged, judged] = [rolloutOf([{ completionText: "a" }]), rolloutOf([{ completionText: "b" }])];
    for (const rollout of [unjudged, judged]) {
      await publishRollout(bench.streams, rollout);
      expect(readRollout(await bench.dieOverNext(streamNames.rollouts, durable)).key).toEqual(rollout.key);
    }
    await publishReward(bench.streams, create(RewardSchema, { key: judged.key, worker: "lost", rewards: [{ value: 1 }] }));
    reward = bench.role("reward");
    expect((await rewardsOf(unjudged)).rewards[0]!.value).toBe(10);
    await bench.idle(streamNames.rollouts, durable);
    expect((await rewardsOf(judged)).worker).toBe("lost");
  });
});
