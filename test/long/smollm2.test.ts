import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { teacherDirectory } from "../../services/cli/demo/smollm2/teacher.js";
import { RetortError } from "../../services/shared/base/errors.js";
import { reportIn } from "../support/runs/report-in.js";
import { retort } from "../support/runs/retort.js";

interface ModelJson {
  readonly name: string;
  readonly forwardKl: number;
  readonly reverseKl: number;
  readonly seconds?: number;
  readonly memory?: Readonly<Record<string, number>>;
  readonly steps?: readonly { readonly divergence: number }[];
}

/** The directory of the teacher, or why it can't be had. */
const teacher = await teacherDirectory(() => {}).catch((error: unknown) => RetortError.from(error));
const isThere = typeof teacher === "string";
if (!isThere) console.warn(`skipped: the walk-through on real weights. ${teacher.message}`);

(isThere ? describe : describe.skip)("retort demo smollm2", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-smollm2-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("brings a student nearer to its teacher on held-out prompts, by LoRA and in full, and shows what it then writes", async () => {
    const report = join(directory, "report.html");
    const { code, stdout, stderr } = await retort(["demo", "smollm2", "--data-dir", join(directory, "data"), "--report", report, "--json"]);
    expect({ code, stderr: code ? stderr : "" }).toEqual({ code: 0, stderr: "" });
    const models = JSON.parse(stdout) as ModelJson[];
    expect(models.map(({ name }) => name)).toEqual(["teacher", "start", "LoRA", "in full"]);
    const [self, start, ...distilled] = models;
    expect(self!.forwardKl).toBeLessThan(1e-4);
    for (const one of distilled) {
      expect(one.forwardKl).toBeLessThan(0.7 * start!.forwardKl);
      expect(one.reverseKl).toBeLessThan(0.9 * start!.reverseKl);
      expect(one.steps).toHaveLength(30);
      expect(one.memory?.learner).toBeGreaterThan(1e8);
    }
    const { summary, runs } = await reportIn(report);
    expect(summary?.paragraphs.join()).toContain("24 of its 30 layers");
    expect(summary?.models.map(({ evaluation }) => evaluation.examples.length)).toEqual([16, 16, 16, 16]);
    expect(runs).toHaveLength(2);
  }, 1_600_000);
});
