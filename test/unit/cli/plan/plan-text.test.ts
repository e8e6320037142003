import { create } from "@bufbuild/protobuf";
import stringWidth from "string-width";
import { planText } from "../../../../services/cli/plan/plan-text.js";
import type { RunTimes } from "../../../../services/cli/plan/run-times.js";
import { estimateOf } from "../../../../services/controller/check/estimate.js";
import { settled } from "../../../../services/controller/check/settle.js";
import { RunEstimateSchema } from "../../../../services/shared/gen/retort/v1/estimate_pb.js";
import { paper } from "../../../support/cli/paper.js";
import { checkedRun } from "../../../support/runs/checked-run.js";

const evaluation = { path: "held-out", limit: 100 };
const run = { ...settled(checkedRun({ steps: 400, optimizer: { microBatchTokens: 768 } }, { evaluation })), promptTokens: 20 };
const estimate = (memory: number) => create(RunEstimateSchema, estimateOf(run, memory));
const times: RunTimes = {
  ...{ startSeconds: 12, writeSeconds: 0, evaluationSeconds: 28, checkpointSeconds: 3 },
  phases: [
    {
      ...{ name: "gkd", steps: 400, meanTokens: 34.4, maxTokens: 48, longestSeconds: 4600 },
      ...{ stepSeconds: { low: 7.91, expected: 8.1, high: 8.3 }, seconds: { low: 3164, expected: 3240, high: 3320 } },
      ...{ trainSeconds: 6.2, waitSeconds: 1.8, publishSeconds: 0.1 },
    },
  ],
  total: { low: 3207, expected: 3283, high: 3363 },
  longestSeconds: 4643,
  peaks: [{ role: "learner", teacher: "", bytes: 3.9e9 }],
};
const piped = () => paper({ isTTY: false }).out;

describe("planText()", () => {
  it("says what each role takes, each phase, and the disk", () => {
    expect(planText({ estimate: estimate(16e9) }, piped())).toBe(
      [
        "role     processes  parameters  trained  weights  memory",
        "learner          1      134.5M   134.5M  float32  3.5 GB",
        "student          1      134.5M           float32  883 MB",
        "teacher          1      134.5M           float32  883 MB",
        "5.2 GB of this machine's 16.0 GB",
        "",
        "phase  steps  sequences  completion tokens  prompt tokens  through NATS",
        "gkd      400          8              ≤ 384            160        456 kB",
        "2 evaluations of 200 completions, 9,600 tokens each at most",
        "",
        "files              each  at once",
        "version 0        538 MB        1",
        "versions         538 MB        4",
        "checkpoints      1.6 GB        3",
        "trained student  538 MB        1",
        "8.1 GB of disk, and 912 kB in NATS's streams, at most",
      ].join("\n"),
    );
  });

  it("says where it doesn't fit, and what takes how much less, and which of it is enough", () => {
    const text = planText({ estimate: estimate(4.8e9) }, piped());
    expect(text).toMatch(/^5\.2 GB of this machine's 4\.8 GB: it doesn't fit$/m);
    expect(text).toMatch(/^ {2}student\.lora: \{\} +\d\.\d GB less, enough$/m);
    expect(text).toMatch(/^ {2}roles\.teacher\.dtype: bfloat16 +309 MB less$/m);
    expect(planText({ estimate: estimate(16e9) }, piped())).not.toContain("less");
  });

  it("says what a probe measured, how long the run takes, and what that costs", () => {
    const text = planText({ estimate: estimate(16e9), times, pricePerHour: 1.6 }, piped());
    expect(text).toContain("learner          1      134.5M   134.5M  float32  3.5 GB    3.9 GB");
    expect(text).toContain(
      [
        "measured          a step  training  waiting  publishing      completions                          all steps",
        "gkd       7.91 to 8.30 s    6.20 s   1.80 s      0.10 s  34 of 48 tokens  400 in 52 min 44 s to 55 min 20 s",
      ].join("\n"),
    );
    expect(text).toContain("time  53 min 27 s to 56 min 3 s\n      of it start 12 s, evaluations 28 s, checkpoints 3 s\n");
    expect(text).toContain("\n      1 h 17 min if every completion gets as long as it may\n");
    expect(text).toMatch(/cost {2}1\.43 to 1\.49 at 1\.6 an hour$/);
  });

  it("says nothing of a machine's memory in a cluster", () => {
    const { machineMemoryBytes: _, ...cluster } = estimate(1);
    expect(planText({ estimate: create(RunEstimateSchema, cluster) }, piped())).toContain("each process has a machine of its own");
  });

  it.each([80, 200])("is no wider than a terminal of %i columns", (columns) => {
    const lines = planText({ estimate: estimate(4.8e9), times }, paper({ isTTY: true, columns }).out).split("\n");
    expect(lines.filter((line) => stringWidth(line) > columns)).toEqual([]);
  });
});
