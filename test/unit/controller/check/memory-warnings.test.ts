import { memoryWarnings } from "../../../../services/controller/check/memory-warnings.js";
import { checkedRun } from "../../../support/runs/checked-run.js";

describe("memoryWarnings()", () => {
  it("says what each role is expected to hold where the machine has less, and which settings take how much less", () => {
    const [warning, ...more] = memoryWarnings(checkedRun({ optimizer: { microBatchTokens: 768 } }), 4 * 2 ** 30);
    expect(more).toEqual([]);
    expect(warning!.field).toBe("roles");
    expect(warning!.message).toMatch(
      /^are expected to hold 4\.\d GiB of memory \(the learner 3\.\d GiB, the student 0\.8 GiB, the teacher 0\.8 GiB\), and this machine has 4\.0 GiB: student\.lora: \{\} takes 1\.\d GiB less, phases\[0\]\.optimizer\.microBatchTokens: \d+ takes 0\.\d GiB less, /,
    );
  });

  it("says nothing where it fits, or where the roles have machines of their own", () => {
    expect(memoryWarnings(checkedRun(), 16 * 2 ** 30)).toEqual([]);
    expect(memoryWarnings(checkedRun(), undefined)).toEqual([]);
  });
});
