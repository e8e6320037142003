import type { CheckedRun } from "../../../../services/controller/check/checked-run.js";
import { memoryOf, sharedBytes, trainedModelOf } from "../../../../services/controller/check/role-memory.js";
import { loraOf } from "../../../../services/shared/ml/models/adapter/layers.js";
import { smolLm2 } from "../../../support/models/known-shapes.js";
import { checkedRun } from "../../../support/runs/checked-run.js";

const held = (run: CheckedRun) => Object.fromEntries(memoryOf(run).map(({ role, bytes }) => [role, bytes / 1e9]));
const checked = (optimizer: object = {}, more: object = {}, dtype?: string) => checkedRun({ optimizer }, more, dtype);

describe("memoryOf()", () => {
  // Measured at 8 sequences of 96 tokens, in GB: the learner 4.0, the student 0.7 to 0.8, the teacher 0.8 to 1.0, in bfloat16 0.6 to 0.7.
  it("is within a fifth of what was measured", () => {
    const roles = held(checked({ microBatchTokens: 768 }));
    expect(roles.learner).toBeGreaterThan(3.5);
    expect(roles.learner).toBeLessThan(4.4);
    expect(roles.student).toBeCloseTo(0.85, 1);
    expect(roles.teacher).toBeCloseTo(0.85, 1);
    expect(held(checked({}, {}, "bfloat16")).teacher).toBeCloseTo(0.57, 1);
  });

  it("knows what saves memory: fewer tokens at once, checkpointing of gradients, an adapter", () => {
    const learner = (run: CheckedRun) => held(run).learner as number;
    const all = learner(checked({ microBatchTokens: 768 }));
    expect(learner(checked())).toBeCloseTo(learner(checked({ microBatchTokens: 400 })), 1);
    expect(all - learner(checked({ microBatchTokens: 384 }))).toBeGreaterThan(0.5);
    expect(all - learner(checked({ gradientCheckpointing: true }))).toBeGreaterThan(1);
    const adapter = (dtype: string) => learner(checked({}, { student: { model: "student", lora: {} }, roles: { learner: { dtype } } }));
    expect(all - adapter("float32")).toBeGreaterThan(1.2);
    // Half of 135M parameters' 4 bytes.
    expect(adapter("float32") - adapter("bfloat16")).toBeCloseTo(0.27, 2);
  });

  it("counts a student from scratch as the model of that shape that has been trained", () => {
    const { hiddenSize, intermediateSize, layers, heads, kvHeads } = smolLm2;
    const init = { architecture: "llama", hiddenSize, intermediateSize, layers, heads, kvHeads, maxPositions: 8192 };
    const { student, ...fresh } = checkedRun({}, { student: { init } });
    const { config: _, ...without } = student;
    expect(memoryOf({ ...fresh, student: { ...without, dtype: "float32" } as CheckedRun["student"] })).toEqual(memoryOf(checked()));
  });

  it("counts an adapter's directory as the adapter that it is, not as all weights", () => {
    const run = checked();
    const asked = checked({}, { student: { model: "student", lora: { r: 8, alpha: 16 } } });
    const lora = loraOf(smolLm2, { r: 8, alpha: 16, useRslora: false, targetModules: ["all-linear"] });
    const adapter = { ...run, student: { ...run.student, adapted: true, lora } };
    expect(memoryOf(adapter)).toEqual(memoryOf(asked));
    expect(trainedModelOf(adapter).trained).toBe(2_442_240);
  });

  it("says what each role is: processes, parameters, element type, device", () => {
    const run = checked({}, { roles: { teacher: { replicas: 3, dtype: "bfloat16" }, student: { device: "cuda" } } });
    expect(memoryOf(run).map(({ bytes: _, ...one }) => one)).toEqual([
      {
        ...{ role: "learner", name: "the learner", teacher: "", processes: 1, device: "cpu", dtype: "float32" },
        ...{ parameters: 134_515_008, trained: 134_515_008 },
      },
      {
        ...{ role: "student", name: "the student", teacher: "", processes: 1, device: "cuda", dtype: "float32" },
        ...{ parameters: 134_515_008, trained: 0 },
      },
      {
        ...{ role: "teacher", name: "the teacher", teacher: "default", processes: 3, device: "cpu", dtype: "bfloat16" },
        ...{ parameters: 134_515_008, trained: 0 },
      },
    ]);
  });
});

describe("sharedBytes()", () => {
  it("sums up the processes of the CPU; what is on a device has that device's memory", () => {
    const [learner, student, teacher] = memoryOf(checked({}, { roles: { teacher: { replicas: 3 }, student: { device: "cuda" } } }));
    expect(sharedBytes([learner!, student!, teacher!])).toBe(learner!.bytes + 3 * teacher!.bytes);
  });
});
