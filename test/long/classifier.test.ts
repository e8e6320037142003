import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { classifierFixture } from "../support/models/fixtures.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { expectClear, retort } from "../support/runs/retort.js";

const examples = resolve("deploy/examples/num2words");
const model = join(examples, "models/student");

describe("retort train-classifier", () => {
  let directory: string;
  let judge: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-classifier-"));
    judge = join(directory, "judge");
  });
  afterAll(() => rm(directory, { recursive: true }));

  const train = (argv: readonly string[]) => retort(["--json", "train-classifier", "--model", model, ...argv]);
  const file = async (name: string, rows: readonly unknown[]): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, rows.map((row) => JSON.stringify(row)).join("\n"));
    return path;
  };

  it("trains a judge that a run is rewarded by, and evaluations say what it thought", async () => {
    // Whether an answer speaks of hundreds: some do, and a student can learn to say so always.
    const lines = (await readFile(join(examples, "data/train.jsonl"), "utf8")).trim().split("\n");
    const rows = lines.map((line) => JSON.parse(line) as { prompt: string; completion: string });
    const labelled = rows.map(({ prompt, completion }) => ({
      ...{ premise: prompt, hypothesis: completion },
      label: completion.includes("hundred") ? "large" : "small",
    }));
    const trained = await train([
      ...["--data", await file("labelled.jsonl", labelled), "--out", judge],
      ...["--epochs", "6", "--batch-size", "16", "--learning-rate", "3e-3"],
    ]);
    expect(trained.stderr).toBe("");
    const figures = JSON.parse(trained.stdout);
    expect(figures).toMatchObject({ directory: judge, labels: ["large", "small"], texts: 540, heldOut: 60, tooLong: 0 });
    expect(figures.epochs).toHaveLength(6);
    expect(figures.accuracy).toBeGreaterThan(0.9);

    const cluster = await LocalCluster.start();
    try {
      const rewards = `[{ kind: classifier, model: ${judge}, label: small }, { kind: exact_match, weight: 0 }]`;
      const phase =
        "{ preset: rl_gkd, steps: 40, batchSize: 16, sampling: { maxNewTokens: 34 }, objective: { alpha: 0.1 }, optimizer: { learningRate: 0.01 } }";
      const spec = `rewards: ${rewards}\nevaluation: { path: data/held-out.jsonl, limit: 48 }\nphases: [${phase}]`;
      const { run, events } = await cluster.watch(await cluster.begin(tinySpec("judged", spec)));
      expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
      const evaluations = events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value] : []));
      const [first, last] = [evaluations[0]!, evaluations.at(-1)!];
      expect(last.reward!).toBeGreaterThan(first.reward! + 0.1);
      for (const { reward, greedy, greedyReward, greedyRewardComponents, samples } of evaluations) {
        expect(samples[0]!.rewardComponents.classifier).toBeCloseTo(reward!, 6);
        expect(greedyRewardComponents.classifier).toBeCloseTo(greedyReward!, 6);
        expect(greedyRewardComponents.exact_match).toBeCloseTo(greedy!, 6);
      }
      await expect(cluster.begin(tinySpec("wrong", spec.replace("label: small", "label: tiny")))).rejects.toThrow(
        /rewards\[0\]\.label: there is no class "tiny"; classes: "large", "small"/,
      );
      await expect(cluster.begin(tinySpec("wrong", spec.replace(judge, model)))).rejects.toThrow(
        /rewards\[0\]\.model: .*student has no tensor score\.weight/,
      );
    } finally {
      await cluster.stop();
    }
  });

  it("says what is wrong with its data before it trains", async () => {
    const out = ["--out", join(directory, "none")];
    const check = async (rows: readonly unknown[], argv: readonly string[], message: RegExp) => {
      const { stdout, ...rest } = await retort([
        "train-classifier",
        "--model",
        model,
        "--data",
        await file("bad.jsonl", rows),
        ...argv,
        ...out,
      ]);
      expectClear({ stdout, ...rest }, message);
    };
    await check([{ text: "1=", label: "a" }], [], /has one class, "a"; a classifier needs at least two/);
    await check(
      [{ words: "1=", label: "a" }],
      [],
      /bad\.jsonl line 1 has no "text"; it has: words, label; name the texts' columns with --template/,
    );
    await check([{ text: "1=" }], [], /has no "label".*--label-column/);
    await check([{ text: "1=", label: "a" }], ["--labels", "b,c"], /has the class "a", and --labels are b, c/);
    await check([], [], /bad\.jsonl has no rows/);
    await check([{ text: "", label: "a" }], [], /bad\.jsonl line 1: the text is empty/);
    await check(
      [
        { text: "1=", label: 0 },
        { text: "2=", label: 1 },
      ],
      ["--test-data", await file("empty.jsonl", [])],
      /empty\.jsonl has no rows/,
    );
    await check([{ text: "1=", label: ["a"] }], [], /column "label" is \["a"\]/);
    const long = [
      { text: "1".repeat(200), label: 0 },
      { text: "2".repeat(200), label: 1 },
    ];
    await check(long, [], /every text of .*bad\.jsonl is longer than the model's 64 positions/);
    const good = await file("good.jsonl", [
      { text: "1=", label: 0 },
      { text: "2=", label: 1 },
    ]);
    const at = (argv: readonly string[]) => retort(["train-classifier", "--model", model, "--data", good, ...argv]);
    expectClear(await at(["--out", model]), /is --model itself/);
    expectClear(await at(["--out", join(good, "below")]), /below a file/);
    expectClear(await at(["--model", classifierFixture("llama"), ...out]), /is a classifier already/);
  });
});
