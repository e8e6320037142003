import { create } from "@bufbuild/protobuf";
import { evaluate, type Judges, rewardKinds } from "../../../services/reward/evaluator.js";
import { TextRewards } from "../../../services/reward/text-rewards.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { RewardSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { tasks } from "../../../services/shared/tasks/table.js";
import { taskProblems } from "../../../services/shared/tasks/task-problems.js";
import { checkSpec } from "../../support/runs/check-spec.js";

const texts = new TextRewards();
const none: Judges = {
  text: async (inputs, spec) => texts.judge(inputs, spec, 0),
  classifier: async () => [],
  external: async () => [],
};
const input = { prompt: "a1>c2=", completion: "RUR", reference: "RRU", completionTokens: 4 };
const spec = (reward: string) =>
  parseSpec(`{name: t, student: {model: m}, data: {path: d.jsonl}, rewards: [${reward}], phases: [{preset: sft, steps: 1}]}`, "spec.yaml");

describe("reward task", () => {
  it("pays what the task's own check says, whatever the reference", async () => {
    const reward = create(RewardSpecSchema, { kind: "task", task: "grid-nav" });
    const values = await evaluate([input, { ...input, completion: "RU" }], [reward], none);
    expect(values.map(({ value }) => value)).toEqual([1, 0]);
  });

  it("is refused for a task that does not exist", async () => {
    const reward = create(RewardSpecSchema, { kind: "task", task: "chess" });
    const [found] = await evaluate([input], [reward], none);
    expect(found!.failure).toMatch(/no generated task "chess"; known: calculator, grid-nav/);
  });

  it.each(["chess", "", "constructor"])("is refused before it starts with the tasks that there are: %j", (task) => {
    const problems = [...texts.problems([create(RewardSpecSchema, { kind: "task", task })])];
    expect(problems).toEqual([{ fieldPath: "rewards[0].task", description: expect.stringMatching(/name one of calculator, grid-nav/) }]);
  });

  it("can be asked for by the name of every generated task", () => {
    expect(rewardKinds).toContain("task");
    for (const task of Object.keys(tasks)) {
      expect(checkSpec(spec(`{kind: task, task: ${task}}`))).toEqual([]);
      expect(taskProblems([{ kind: "task", task }])).toEqual([]);
    }
  });
});
