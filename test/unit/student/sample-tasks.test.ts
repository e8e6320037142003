import { phaseOf, resolveRun } from "../../../services/shared/flow/runs/resolve.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { Purpose } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { tasksInHand } from "../../../services/student/sample-tasks.js";

describe("how many tasks a student takes at a time", () => {
  const runOf = (students: number) =>
    resolveRun(
      parseSpec(
        JSON.stringify({
          name: "r",
          data: { path: "d" },
          student: { model: "s" },
          teachers: [{ model: "t" }],
          roles: { student: { replicas: students } },
          phases: [{ preset: "on_policy_kd", steps: 2, batchSize: 32 }],
        }),
        "/spec.yaml",
      ),
    );
  const taskOf = (prompts: number, samplesPerPrompt = 1, purpose: Purpose = Purpose.TRAIN) => ({
    key: { purpose, step: 1 },
    prompts: Array.from({ length: prompts }),
    samplesPerPrompt,
  });
  const inHand = (students: number, ...task: Parameters<typeof taskOf>) =>
    tasksInHand(runOf(students), taskOf(...task) as Parameters<typeof tasksInHand>[1], 64);

  it("is its share of the step, and one more", () => {
    expect(phaseOf(runOf(1), 1).batchSize).toBe(32);
    expect(inHand(1, 32)).toBe(2);
    expect(inHand(1, 2)).toBe(17);
    expect(inHand(4, 2)).toBe(5);
    expect(inHand(4, 8)).toBe(2);
  });

  it("counts samples, and never fills more than the rows that are written together", () => {
    expect(inHand(1, 2, 4)).toBe(9);
    expect(inHand(1, 1, 64)).toBe(2);
  });

  it("fills the rows with the tasks of an evaluation", () => {
    expect(inHand(4, 8, 1, Purpose.EVALUATE)).toBe(9);
  });
});
