import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { reproduceHost } from "../../services/cli/reproduce/host.js";
import { more } from "../../services/reproduce/plan/contrasts.js";
import type { Experiment, Recipe } from "../../services/reproduce/plan/experiment.js";
import { gkd, gkdName } from "../../services/reproduce/plan/objectives.js";
import { instructions, summaries } from "../../services/reproduce/plan/recipes.js";
import { reproduce } from "../../services/reproduce/reproduce.js";

const few = { hiddenSize: 8, intermediateSize: 8, heads: 2, steps: 3 };
const recipe: Recipe = { ...instructions, teacher: { ...instructions.teacher, ...few }, student: { ...instructions.student, ...few } };
const judged: Recipe = {
  ...{ ...summaries, train: 60, sft: 20, classifier: { variants: 1, epochs: 1, batchSize: 16, learningRate: 1e-3, warmup: 0, seed: 1 } },
  ...{ teacher: { ...summaries.teacher, ...few }, student: { ...summaries.student, ...few } },
};
const [supervised, onPolicy] = [gkdName("FKL", 0), gkdName("FKL", 1)];

/** Two arms, one of them in two runs of which the second starts from the first; and one arm that a classifier rewards. */
const micro: Experiment = {
  name: "micro",
  title: "A micro experiment",
  about: "Two arms.",
  parts: [
    {
      recipe,
      training: { steps: 4, batchSize: 4, learningRate: 1e-3, schedule: "constant", warmupSteps: 0, rows: 6, temperatures: [1, 0.5] },
      quick: {},
      arms: [
        gkd("FKL", 0),
        { name: "first half", hidden: true, written: "start", phase: { preset: "supervised_kd" }, stepShare: 0.5 },
        { ...gkd("FKL", 1), from: "first half", stepShare: 0.5 },
      ],
      also: { rows: "also-held-out", measures: { otherKinds: "check" } },
      columns: [
        { measure: "greedy", label: "greedy", format: "percent" },
        { measure: "forwardKl", label: "KL(teacher‖student)" },
        { measure: "flops", label: "training", format: "flops" },
      ],
      figures: [
        {
          name: "kl",
          title: "KL by arm",
          kind: "bars",
          x: "",
          y: "nats",
          series: [{ name: "KL", points: [supervised, onPolicy].map((arm) => ({ arm, x: arm, y: "forwardKl" })) }],
        },
      ],
      orderings: [{ id: "O1", says: "on-policy > supervised", contrasts: [more(onPolicy, supervised, "greedy")] }],
    },
    {
      recipe: judged,
      training: { steps: 2, batchSize: 4, learningRate: 1e-3, schedule: "constant", warmupSteps: 0, rows: 6 },
      quick: {},
      arms: [{ name: "RL", phase: { preset: "rl_gkd", objective: { divergence: "reverse_kl", alpha: 0.5 } } }],
      columns: [{ measure: "reward", label: "reward" }],
      figures: [],
      orderings: [],
    },
  ],
};

describe("retort reproduce", () => {
  let directory: string;
  let said = "";
  const terminal = new PassThrough();
  terminal.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  const options = () => ({
    seeds: 1,
    quick: false,
    jobs: 2,
    dataDir: join(directory, "data"),
    out: join(directory, "out"),
    host: reproduceHost(terminal),
  });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-reproduce-test-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("runs an experiment's arms through the services and writes tables, figures and numbers", async () => {
    await reproduce(micro, options());
    const out = join(directory, "out", "micro");
    expect((await readdir(out)).sort()).toEqual(["instructions-kl.png", "instructions-kl.svg", "report.md", "result.json"]);
    const report = await readFile(join(out, "report.md"), "utf8");
    expect(report).toMatch(/^# A micro experiment\n/);
    expect(report).toMatch(/\| FKL, λ=1 +\| [\d.]+ % +\| [\d.]+ +\| [\d.]+ GFLOP +\|/);
    expect(report).toMatch(/O1, on-policy > supervised: \*\*(partly|not) shown\*\*/);
    expect(report).not.toContain("first half");
    expect((await readFile(join(out, "instructions-kl.svg"), "utf8")).slice(0, 4)).toBe("<svg");
    expect((await readFile(join(out, "instructions-kl.png"))).subarray(1, 4).toString()).toBe("PNG");
    const { parts } = JSON.parse(await readFile(join(out, "result.json"), "utf8")) as {
      parts: { arms: { name: string; measures: Record<string, { mean: number; count: number }> }[] }[];
    };
    expect(report).toMatch(/Classifier: right on [\d.]+ % of 5880 completions of held-out prompts/);
    // A probability, by the classifier; the task's own check beside it.
    const { reward, greedy } = parts[1]!.arms[0]!.measures;
    expect(reward!.mean).toBeGreaterThan(0);
    expect(reward!.mean).toBeLessThan(1);
    expect(greedy!.mean).toBeLessThanOrEqual(1);
    const measures = parts[0]!.arms.find(({ name }) => name === onPolicy)!.measures;
    expect(measures.forwardKl!.mean).toBeGreaterThan(0);
    expect(measures.otherKinds!.count).toBe(1);
    expect(measures["selfBleu@0.5"]).toBeDefined();
  }, 300_000);

  it("does no run twice: what is finished is kept by its content", async () => {
    const results = join(directory, "data", "results");
    const times = async () =>
      Object.fromEntries(
        await Promise.all((await readdir(results)).map(async (name) => [name, (await stat(join(results, name))).mtimeMs])),
      );
    const before = await times();
    // Teacher, SFT student and three arms; teacher, SFT student, classifier and one arm.
    expect(Object.keys(before)).toHaveLength(9);
    await rm(join(directory, "out"), { recursive: true });
    await rm(join(results, Object.keys(before)[0]!));
    said = "";
    await reproduce(micro, options());
    expect(said).toContain("1 run to do, 8 done before");
    const after = await times();
    const changed = Object.keys(after).filter((name) => after[name] !== before[name]);
    expect(changed).toEqual([Object.keys(before)[0]]);
    expect(await readdir(join(directory, "out", "micro"))).toContain("report.md");
  }, 300_000);
});
