import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import ort from "onnxruntime-node";
import type { RunTimes } from "../../services/cli/plan/run-times.js";
import { architectures } from "../../services/shared/ml/models/architectures/table.js";
import { loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { digestOf } from "../../services/shared/ml/models/model.js";
import { type CliProcess, retort, startRetort } from "../support/runs/retort.js";

const examples = resolve("deploy/examples/num2words");
const teacher = join(examples, "models/teacher");
const student = join(examples, "models/student");

const spec = (steps: number) => ({
  name: "cli",
  seed: 5,
  student: { model: student },
  teachers: [{ model: teacher }],
  data: { path: join(examples, "data/train.jsonl") },
  roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } },
  phases: [{ preset: "on_policy_kd", steps, batchSize: 4, sampling: { maxNewTokens: 8 } }],
});

interface RunJson {
  readonly runId: string;
  readonly state: string;
  readonly step?: number;
  readonly output?: string;
}

describe("retort, as its user types it", () => {
  let directory: string;
  let up: CliProcess;
  const data = () => ["--data-dir", join(directory, "data")];
  const file = async (name: string, value: unknown): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, JSON.stringify(value));
    return path;
  };
  /** The JSON that a command prints, which is all of its standard output. */
  const json = async <T>(...argv: string[]): Promise<T> => {
    const { code, stdout, stderr } = await retort([...argv, "--json", ...data()]);
    if (code !== 0) throw new Error(`retort ${argv.join(" ")} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-cli-"));
    up = startRetort(["up", "--json", "--port", "0", ...data()]);
    expect(JSON.parse(await up.output("stdout", /\n/))).toMatchObject({
      controller: expect.stringMatching(/^127/),
      nats: expect.stringMatching(/^nats:/),
    });
  });
  afterAll(async () => {
    // A test that failed early has left it going.
    if (up.child.exitCode === null) up.ctrlC();
    await up.ended;
    await rm(directory, { recursive: true, force: true });
  });

  it("runs a spec and prints what came of it as JSON; its output is exported in both formats", async () => {
    const { run } = await json<{ run: RunJson }>("run", await file("short.json", spec(3)));
    expect(run).toMatchObject({ state: "RUN_STATE_SUCCEEDED", step: 3 });
    const trained = await loadModel(run.output!);
    for (const format of ["hf", "onnx"]) {
      const out = join(directory, format);
      const exported = await json("export", run.runId, "--out", out, "--format", format);
      expect(exported).toEqual({
        source: run.runId,
        format,
        directory: out,
        parameters: 3264,
        policyVersion: 3,
        digest: digestOf(trained.params),
      });
    }
    expect(digestOf((await loadModel(join(directory, "hf"))).params)).toBe(digestOf(trained.params));
    const session = await ort.InferenceSession.create(join(directory, "onnx", "model.onnx"));
    expect(session.outputNames[0]).toBe("logits");
    expect(await readdir(join(directory, "onnx"))).toEqual(expect.arrayContaining(["config.json", "tokenizer.json"]));
  });

  it("detaches on Ctrl-C, and the run is paused, exported, resumed, watched again and stopped", async () => {
    const watching = startRetort(["run", await file("long.json", spec(5000)), "--json", ...data()]);
    await watching.output("stderr", /^step [1-9]/m);
    watching.ctrlC();
    const { code, stdout, stderr } = await watching.ended;
    expect(code).toBe(0);
    const { detached, run } = JSON.parse(stdout) as { detached: boolean; run: RunJson };
    expect([detached, run.state]).toEqual([true, "RUN_STATE_RUNNING"]);
    expect(stderr).toContain(`retort watch ${run.runId}`);

    const paused = await json<RunJson>("pause", run.runId);
    expect(paused.state).toBe("RUN_STATE_PAUSED");
    const out = join(directory, "going");
    expect(await json("export", run.runId, "--out", out)).toMatchObject({ policyVersion: paused.step });
    expect((await loadModel(out)).config.vocabSize).toBe(41);
    expect(await json("export", run.runId, "--out", out, "--policy-version", "0")).toMatchObject({ policyVersion: 0 });
    expect((await json<RunJson[]>("runs")).find(({ runId }) => runId === run.runId)?.state).toBe("RUN_STATE_PAUSED");

    expect((await json<RunJson>("resume", run.runId)).state).toBe("RUN_STATE_RUNNING");
    const again = startRetort(["watch", run.runId, ...data()]);
    await again.output("stderr", new RegExp(`^step ${paused.step! + 1}/|^step [1-9]\\d*/`, "m"));
    const stopped = await json<RunJson>("stop", run.runId);
    expect(stopped.state).toBe("RUN_STATE_STOPPED");
    // Who watches learns of it and ends by itself.
    const watched = await again.ended;
    expect(watched).toMatchObject({ code: 0, stdout: "" });
    expect(watched.stderr).toMatch(/run stopped/);
    // For scripts: its events, one a line, up to the end; a reader that has seen enough may leave.
    const told = (await retort(["watch", run.runId, "--json", ...data()])).stdout.trim().split("\n");
    const events = told.map((line) => JSON.parse(line) as { sequence: string; stateChanged?: { state: string } });
    expect(events.filter(({ stateChanged }) => stateChanged).at(-1)?.stateChanged?.state).toBe("RUN_STATE_STOPPED");
    expect(events.map(({ sequence }) => Number(sequence))).toEqual(
      [...events.map(({ sequence }) => Number(sequence))].sort((a, b) => a - b),
    );
    const leaving = startRetort(["watch", run.runId, "--json", ...data()]);
    await leaving.output("stdout", /\n/);
    leaving.child.stdout?.destroy();
    expect((await leaving.ended).code).toBe(0);
    expect((await retort(["stop", run.runId, ...data()])).code).toBe(78);

    expect((await retort(["rm", run.runId, ...data()])).code).toBe(64);
    expect((await retort(["rm", run.runId, "nope", "--yes", ...data()])).code).toBe(66);
    const [removed] = await json<{ runId: string; freedBytes: number }[]>("rm", run.runId, "--yes");
    expect(removed!.freedBytes).toBeGreaterThan(1000);
    expect((await json<RunJson[]>("runs")).some(({ runId }) => runId === run.runId)).toBe(false);
  });

  it.each([
    ["watch nope", 66, /no run "nope"/],
    ["stop nope", 66, /no run "nope"/],
    ["export nope --out x", 66, /no run "nope"/],
    ["export ./nope --out x", 66, /\.\/nope/],
    ["export TEACHER --out x --policy-version 1", 64, /policy-version 1/],
    ["export TEACHER --out x --format gguf", 64, /gguf.*hf, onnx/],
    ["sample --model TEACHER --temperature hot", 64, /temperature.*hot/],
    ["sample --model /nope", 78, /\/nope/],
    ["models /nope", 66, /\/nope/],
    ["eval --model TEACHER --data /nope.jsonl", 66, /\/nope\.jsonl/],
    ["eval --model TEACHER", 64, /--data/],
    ["train-classifier --model TEACHER --data /nope.jsonl --out x", 66, /\/nope\.jsonl/],
    ["train-classifier --model TEACHER --data x.jsonl --out x --labels one", 64, /--labels.*two or more/],
    ["import /nope.gguf x", 66, /\/nope\.gguf/],
    ["import TEACHER x", 64, /is a directory/],
    ["plan /nope.yaml", 66, /\/nope\.yaml/],
    ["plan /nope.yaml --price-per-hour 2", 64, /--price-per-hour 2 needs hours, which only --probe measures/],
    ["shrink /nope --layers 1 --out x", 66, /\/nope/],
    ["shrink TEACHER --out x", 64, /which layers stay: --layers 12, or --keep/],
    ["shrink TEACHER --layers 1 --keep 0 --out x", 64, /--layers and --keep both say/],
    ["shrink TEACHER --keep 0,x --out x", 64, /--keep.*0,x.*0-3,11/],
    ["shrink TEACHER --layers 3 --out x", 64, /has 2 layers, and 3 of them/],
    ["shrink TEACHER --layers 1 --out TEACHER", 64, /is the model itself/],
    ["serve judge", 64, /judge.*teacher/],
    ["distill", 64, /distill/],
  ])("ends `retort %s` with code %i, one sentence, and JSON if that was asked for", async (line, expected, message) => {
    const argv = line.split(" ").map((word) => (word === "TEACHER" ? teacher : word));
    const takesDirectory = /^(watch|stop|export)/.test(line);
    const { code, stdout, stderr } = await retort([...argv, "--json", ...(takesDirectory ? data() : [])]);
    expect(code).toBe(expected);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    if (argv[0] !== "serve")
      expect(JSON.parse(stdout)).toEqual({ error: expect.objectContaining({ message: expect.stringMatching(message) }) });
  });

  it("plans a run: what it takes, and by a probe how long; the probe leaves nothing behind", async () => {
    const scratch = join(directory, "scratch");
    await mkdir(scratch);
    const phases = [{ ...spec(400).phases[0], lambda: 0.5 }];
    const planned = await file("planned.json", {
      ...spec(400),
      phases,
      evaluation: { path: join(examples, "data/held-out.jsonl"), limit: 40 },
    });
    const options = ["--probe", "--price-per-hour", "3600", "--json", ...data()];
    const { code, stdout, stderr } = await retort(["plan", planned, ...options], { TMPDIR: scratch, CI: undefined });
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^step 9 of 9: /m)]);
    const { estimate, times, cost } = JSON.parse(stdout) as {
      estimate: { roles: { role: string; parameters: string }[] };
      times: RunTimes;
      cost: unknown;
    };
    expect(estimate.roles.map(({ role, parameters }) => [role, Number(parameters)])).toEqual([
      ["learner", 3264],
      ["student", 3264],
      ["teacher", 95_104],
    ]);
    expect(estimate).toMatchObject({
      evaluation: { evaluations: 2, completions: "80" },
      phases: [{ lastStep: 400, completionTokens: "32" }],
    });
    const [phase] = times.phases;
    expect(phase).toMatchObject({ steps: 400, maxTokens: 8 });
    expect(phase!.stepSeconds.low).toBeGreaterThan(0);
    expect(times.total.expected).toBeGreaterThan(phase!.seconds.expected);
    // At a price of 1 a second.
    const { low, expected, high } = times.total;
    expect(cost).toEqual({ low: expect.closeTo(low), expected: expect.closeTo(expected), high: expect.closeTo(high) });
    expect(await readdir(scratch)).toEqual([]);
  });

  it("lists the families of models, and tells what a directory is read as", async () => {
    const families = JSON.parse((await retort(["models", "--json"])).stdout) as { modelType: string }[];
    expect(families.map(({ modelType }) => modelType)).toEqual(Object.keys(architectures));
    expect((await retort(["models"])).stdout).toMatch(/llama +Llama 1 to 3\.3.*[\s\S]*linear, dynamic, llama3, yarn, longrope/);
    const { stdout } = await retort(["models", teacher, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ family: "llama", parameters: 95104, layers: 2, context: 64, vocabulary: 41, warnings: [] });
    expect((await retort(["models", teacher])).stdout).toMatch(/can be used: llama[\s\S]*95,104.*tied head/);
  });

  it("cuts a student from a teacher, which samples", async () => {
    const out = join(directory, "cut");
    const { stdout } = await retort(["shrink", teacher, "--layers", "1", "--out", out, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ directory: out, sourceLayers: 2, layers: [0], dtypes: ["F32"], warnings: [] });
    const again = await retort(["shrink", teacher, "--keep", "1", "--out", out]);
    expect(again.stdout).toMatch(/cut: 1 of 2 layers \(1\); \d+ parameters in F32, \d+ kB/);
    expect(await retort(["sample", "12=", "--model", out, "--max", "4"])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^12=/) });
    // It was made for another purpose than an export.
    const refused = await retort(["shrink", teacher, "--layers", "1", "--out", directory]);
    expect(refused).toMatchObject({ code: 78, stderr: expect.stringMatching(/holds what Retort did not make/) });
  });

  it("samples and evaluates with as many tokens as the context leaves", async () => {
    const sampled = await retort(["sample", "12=", "347=", "--model", teacher, "--temperature", "0", "--json"]);
    expect(JSON.parse(sampled.stdout)).toEqual([
      { prompt: "12=", completions: ["twelve"] },
      { prompt: "347=", completions: ["three hundred forty seven"] },
    ]);
    const argv = [
      "eval",
      "--model",
      teacher,
      "--teacher",
      teacher,
      "--data",
      join(examples, "data/held-out.jsonl"),
      "--limit",
      "8",
      "--json",
    ];
    expect(JSON.parse((await retort(argv)).stdout)).toMatchObject({
      metric: "exact_match",
      rows: 8,
      greedy: 1,
      forwardKl: 0,
      reverseKl: 0,
    });
  });

  it("serves a role, says where as JSON, and drains on Ctrl-C", async () => {
    const serving = startRetort(["serve", "reward", "--json"]);
    expect(JSON.parse(await serving.output("stdout", /\n/))).toMatchObject({
      role: "reward",
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
    serving.ctrlC();
    expect(await serving.ended).toMatchObject({ code: 130, stderr: expect.stringContaining('"stopping"') });
  });

  it("stops a run in order when Ctrl-C ends `up`: the checkpoint is there, and the next `up` goes on from it", async () => {
    const { runId } = await json<RunJson>("run", await file("kept.json", spec(5000)), "--detach");
    const watching = startRetort(["watch", runId, ...data()]);
    await watching.output("stderr", /^step [1-9]/m);
    watching.ctrlC();
    await watching.ended;
    up.ctrlC();
    expect((await up.ended).code).toBe(130);
    expect(await readdir(join(directory, "data", "runs", runId, "checkpoints"))).toHaveLength(1);
    up = startRetort(["up", "--json", "--port", "0", ...data()]);
    await up.output("stdout", /\n/);
    const again = startRetort(["watch", runId, ...data()]);
    await again.output("stderr", /run running[\s\S]*run running/);
    expect((await json<RunJson>("stop", runId)).step).toBeGreaterThan(0);
    await again.ended;
  });
});

describe("retort --help", () => {
  it("is printed on standard output, that of one command too", async () => {
    for (const argv of [["--help"], ["shrink", "--help"]])
      expect(await retort(argv)).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^Usage: retort/) });
  });
});
