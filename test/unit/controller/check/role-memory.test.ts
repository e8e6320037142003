import type { CheckedRun } from "../../../../services/controller/check/checked-run.js";
import { memoryOf, sharedBytes, trainedModelOf } from "../../../../services/controller/check/role-memory.js";
import { loraOf } from "../../../../services/shared/ml/models/adapter/layers.js";
import { smolLm2 } from "../../../support/models/known-shapes.js";
import { checkedRun } from "../../../support/runs/checked-run.js";

const held = (run: CheckedRun) => Object.fromEntries(memoryOf(run).map(({ role, bytes }) => [role, bytes / 1e9]));
const checked = (optimizer: object = {}, more: object = {}, dtype?: string) => checkedRun({ optimizer }, more, dtype);

describe("memoryOf()", () => {
  // Measured at 8 sequences of 96 tokens, in GB: the learner 3.6, the student 0.7 to 0.8, the teacher 0.8 to 1.0, in bfloat16 0.6 to 0.7.
  it("is within a fifth of what was measured", () => {
    const roles = held(checked({ microBatchTokens: 768 }));
    expect(roles.learner).toBeGreaterThan(3.2);
    expect(roles.learner).toBeLessThan(4);
    expect(roles.student).toBeCloseTo(0.85, 1);
    expect(roles.teacher).toBeCloseTo(0.85, 1);
    expect(held(checked({}, {}, "bfloat16")).teacher).toBeCloseTo(0.57, 1);
  });

  it("knows what saves memory: fewer tokens at once, checkpointing of gradients, an adapter", () => {
    const learner = (run: CheckedRun) => held(run).learner as number;
    const all = learner(checked({ microBatchTokens: 768 }));
    expect(learner(checked())).toBeCloseTo(all, 1);
    expect(all - learner(checked({ microBatchTokens: 384 }))).toBeGreaterThan(0.4);
    expect(all - learner(checked({ gradientCheckpointing: true }))).toBeGreaterThan(0.4);
    const adapter = (dtype: string) => learner(checked({}, { student: { model: "student", lora: {} }, roles: { learner: { dtype } } }));
    expect(all - adapter("float32")).toBeGreaterThan(1.2);
    // Half of 135M parameters' 4 bytes.
    expect(adapter("float32") - adapter("bfloat16")).toBeCloseTo(0.27, 2);
  });

  it("counts the average that a learner keeps for its teacher, and float32 in a teacher that follows, as versions are published", () => {
    const roles = (follow: object | undefined) =>
      held(checkedRun({ steps: 9 }, { student: { model: "student" }, teachers: [{ model: "student", follow }] }, "bfloat16"));
    const [frozen, behind, averaged] = [roles(undefined), roles({ everySteps: 1 }), roles({ ema: 0.9 })];
    expect(behind.teacher! - frozen.teacher!).toBeCloseTo(0.31, 2);
    expect(averaged.teacher).toBe(behind.teacher);
    expect(behind.learner).toBe(frozen.learner);
    // 135M parameters of 4 bytes.
    expect(averaged.learner! - behind.learner!).toBeCloseTo(0.54, 2);
  });

  it("counts what half precision takes in a learner, whose weights stay float32", () => {
    const learner = (computeDtype: string) => held(checked({ microBatchTokens: 768, computeDtype })).learner as number;
    expect(learner("bfloat16")).toBe(learner("float16"));
    // 2 bytes for each of 135M parameters, and some for activations.
    expect(learner("float16") - learner("float32")).toBeGreaterThan(0.27);
    expect(learner("float16") - learner("float32")).toBeLessThan(1);
  });

  it("counts what a student on a GPU keeps of what it has read, half of it in float16", () => {
    const student = (dtype: string, batchSize: number, device = "cuda") =>
      held(checkedRun({ batchSize, sampling: { maxNewTokens: 512 } }, { roles: { student: { device, dtype } } })).student as number;
    const kept = (dtype: string) => student(dtype, 64) - student(dtype, 32);
    // 32 rows of 1024 tokens: 31 layers of 3 heads of 64 numbers, keys and values, and half as much again.
    expect(kept("float32")).toBeCloseTo((1.5 * 32 * 1024 * 2 * 31 * 3 * 64 * 4) / 1e9, 6);
    expect(kept("float16")).toBeCloseTo(kept("float32") / 2, 6);
    // No more than 64 rows are written together.
    expect(student("float16", 512)).toBe(student("float16", 64));
    expect(student("float32", 64, "cpu")).toBe(student("float32", 32, "cpu"));
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
