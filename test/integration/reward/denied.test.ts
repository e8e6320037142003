import { create } from "@bufbuild/protobuf";
import { natsPermissions } from "../../../services/shared/flow/nats-permissions.js";
import { publishRollout } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { Purpose, RolloutSchema, Source } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { RunBench } from "../../support/runs/run-bench.js";

const { publish, subscribe } = natsPermissions.reward;
const without = (right: RegExp) => ({ publish: { allow: publish.allow.filter((subject) => !right.test(subject)) }, subscribe });

describe("a reward process that NATS doesn't let do its part", () => {
  let bench: RunBench;
  afterEach(() => bench.stop());

  it.each<[string, RegExp, RegExp]>([
    ["store rewards", /^retort\.results/, /retort\.results\.bench\.\S+\.reward/],
    ["acknowledge rollouts", /^\$JS\.ACK/, /\$JS\.ACK\.RETORT_ROLLOUTS/],
  ])("ends at once as one that no restart helps, naming subject and user: %s", async (_, right, subject) => {
    bench = await RunBench.start("rewards: [{ kind: exact_match }]\nphases: [{ preset: rl, steps: 9 }]", {
      ...natsPermissions,
      reward: without(right),
    });
    const reward = bench.role("reward");
    const sequences = [{ completionText: "one", reference: "one" }];
    const key = { runId: "bench", purpose: Purpose.TRAIN, step: 1, task: 0, attempt: 1 };
    await publishRollout(bench.streams, create(RolloutSchema, { key, source: Source.STUDENT, rewarded: true, sequences }));
    expect(await reward.exit).toBe(77);
    expect(reward.log).toMatch(new RegExp(`the user \\\\"reward\\\\" publish to ${subject.source}`));
  });
});
