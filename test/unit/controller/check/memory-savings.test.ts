import { savingsOf } from "../../../../services/controller/check/memory-savings.js";
import { memoryOf, sharedBytes } from "../../../../services/controller/check/role-memory.js";
import { checkedRun } from "../../../support/runs/checked-run.js";

const optimizer = { microBatchTokens: 768 };
const bytesOf = (...run: Parameters<typeof checkedRun>) => sharedBytes(memoryOf(checkedRun(...run)));

describe("savingsOf()", () => {
  it("names each setting with what the run then takes less, as if the spec had said so", () => {
    const all = bytesOf({ optimizer });
    const settings: Readonly<Record<string, number>> = {
      "phases[0].optimizer.gradientCheckpointing: true": bytesOf({ optimizer: { ...optimizer, gradientCheckpointing: true } }),
      // The longest sequence alone: a prompt as long as its completion of 48 tokens.
      "phases[0].optimizer.microBatchTokens: 96": bytesOf({ optimizer: { microBatchTokens: 96 } }),
      "student.lora: {}": bytesOf({ optimizer }, { student: { model: "student", lora: {} } }),
      "roles.student.dtype: bfloat16": bytesOf({ optimizer }, { roles: { student: { dtype: "bfloat16" } } }),
      "roles.teacher.dtype: bfloat16": bytesOf({ optimizer }, { roles: { teacher: { dtype: "bfloat16" } } }),
      "roles.teacher.dtype: int8": bytesOf({ optimizer }, { roles: { teacher: { dtype: "int8" } } }),
    };
    const found = savingsOf(checkedRun({ optimizer }));
    expect(Object.fromEntries(found.map(({ field, value, bytes }) => [`${field}: ${value}`, all - bytes]))).toEqual(settings);
    expect(found.map(({ bytes }) => bytes)).toEqual(found.map(({ bytes }) => bytes).sort((a, b) => b - a));
  });

  it("leaves out what the spec says already, or what saves next to nothing", () => {
    const saved = { optimizer: { microBatchTokens: 96, gradientCheckpointing: true } };
    const roles = { student: { dtype: "bfloat16" }, teacher: { dtype: "int8" } };
    expect(savingsOf(checkedRun(saved, { roles })).map(({ field }) => field)).toEqual(["student.lora"]);
  });

  it("offers an adapter's run its base in half the bytes, and no second adapter", () => {
    const fields = savingsOf({ ...checkedRun({}, { student: { model: "student", lora: {} }, roles: { learner: { dtype: "float32" } } }) });
    expect(fields.map(({ field }) => field)).toContain("roles.learner.dtype");
    expect(fields.map(({ field }) => field)).not.toContain("student.lora");
  });

  it("names all phases of a run with several at once: the largest decides", () => {
    const phases = [
      { steps: 1, batchSize: 8, sampling: { maxNewTokens: 48 } },
      { steps: 1, batchSize: 8, sampling: { maxNewTokens: 96 } },
    ];
    const micro = savingsOf(checkedRun({}, { phases })).find(({ field }) => field.endsWith("microBatchTokens"));
    expect(micro).toMatchObject({ field: "phases[*].optimizer.microBatchTokens", value: "192" });
  });

  it("changes nothing of the run that it looks at", () => {
    const run = checkedRun({ optimizer });
    const before = JSON.stringify(run.spec);
    savingsOf(run);
    expect(JSON.stringify(run.spec)).toBe(before);
  });
});
