import { create, fromBinary } from "@bufbuild/protobuf";
import { publishRollout } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { Purpose, RewardSchema, RolloutSchema, Source } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { type RoleProcess, RunBench } from "../../support/runs/run-bench.js";

const endless = `${"a".repeat(60)}b`;

describe("a reward process with a pattern that does not end", () => {
  let bench: RunBench;
  let reward: RoleProcess;
  beforeAll(async () => {
    bench = await RunBench.start(`
rewards: [{ kind: regex, pattern: "(a+)+$" }]
rollouts: { maxAttempts: 3 }
phases: [{ preset: rl, steps: 9 }]`);
    reward = bench.role("reward");
  });
  afterAll(() => bench.stop());

  const rolloutOf = (task: number, completions: readonly string[]) =>
    create(RolloutSchema, {
      key: { runId: "bench", purpose: Purpose.TRAIN, step: 1, task, attempt: 1 },
      source: Source.STUDENT,
      sequences: completions.map((completionText) => ({ completionText })),
      rewarded: true,
    });

  it("stops within its grace in the midst of it, loses nothing, and records what it cannot judge", async () => {
    const few = rolloutOf(0, ["a", endless]);
    await publishRollout(bench.streams, few);
    expect(fromBinary(RewardSchema, await bench.result(few.key!, "reward")).rewards).toMatchObject([
      { value: 1 },
      { failure: "reward regex failed: regex took longer than 1 s" },
    ]);
    // Each takes a second at first, and a tenth later on.
    const many = rolloutOf(1, ["a", ...Array.from({ length: 40 }, () => endless)]);
    await publishRollout(bench.streams, many);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(await bench.stored(many.key!, "reward")).toBeUndefined();
    expect(await reward.stop()).toBe(0);
    expect(await bench.stored(many.key!, "reward")).toBeUndefined();
    reward = bench.role("reward");
    const { rewards } = fromBinary(RewardSchema, await bench.result(many.key!, "reward"));
    expect(rewards.filter(({ failure }) => failure.includes("took longer"))).toHaveLength(40);
    expect(rewards[0]).toMatchObject({ value: 1, failure: "" });
  });
});
