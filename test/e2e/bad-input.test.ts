import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { LocalCluster } from "../support/runs/local-run.js";
import { type CliResult, expectClear, retort } from "../support/runs/retort.js";

const examples = resolve("deploy/examples/num2words");

const good = {
  name: "bad",
  student: { model: join(examples, "models/student") },
  teachers: [{ model: join(examples, "models/teacher") }],
  data: { path: join(examples, "data/train.jsonl") },
  phases: [{ preset: "gkd", steps: 2 } as Record<string, unknown>],
};

describe("retort run, given a bad spec", () => {
  let cluster: LocalCluster;
  let directory: string;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
    directory = await mkdtemp(join(tmpdir(), "retort-bad-"));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true });
    await cluster.stop();
  });

  const run = async (spec: unknown): Promise<CliResult> => {
    const path = join(directory, "spec.yaml");
    await writeFile(path, typeof spec === "string" ? spec : JSON.stringify(spec));
    return retort(["run", path, "--data-dir", cluster.directory]);
  };
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, text);
    return path;
  };
  const model = async (name: string, config: unknown): Promise<string> => {
    await mkdir(join(directory, name), { recursive: true });
    await file(`${name}/config.json`, JSON.stringify(config));
    return join(directory, name);
  };

  it.each<[string, () => unknown, RegExp]>([
    ["a field that does not exist", () => ({ ...good, phasess: [] }), /phasess/],
    ["a field of the wrong type", () => ({ ...good, phases: [{ steps: "many" }] }), /steps/],
    ["text that is no YAML", () => "a: [", /spec\.yaml/],
    ["nothing", () => "", /spec\.yaml|name|student/],
    ["lambda beyond 1", () => ({ ...good, phases: [{ steps: 2, lambda: 1.5 }] }), /phases\[0\]\.lambda/],
    ["a preset that does not exist", () => ({ ...good, phases: [{ steps: 2, preset: "magic" }] }), /phases\[0\]\.preset/],
    ["a model directory that is not there", () => ({ ...good, student: { model: "/nowhere/model" } }), /student\.model.*\/nowhere\/model/s],
    ["a dataset that is not there", () => ({ ...good, data: { path: "/nowhere.jsonl" } }), /\/nowhere\.jsonl/],
    [
      "several mistakes",
      () => ({ ...good, student: { model: "/nowhere" }, phases: [{ steps: 2, lambda: -1 }, { steps: 0 }] }),
      /lambda[\s\S]*steps/,
    ],
  ])("names %s", async (_, spec, message) => {
    expectClear(await run(spec()), message);
  });

  it("names an architecture that it does not know", async () => {
    const unknown = await model("mamba", { model_type: "mamba", architectures: ["MambaForCausalLM"] });
    expectClear(await run({ ...good, student: { model: unknown } }), /mamba[\s\S]*llama/i);
  });

  it("names an empty dataset", async () => {
    expectClear(await run({ ...good, data: { path: await file("empty.jsonl", "") } }), /empty\.jsonl/);
  });

  it("names the row of a dataset that is no JSON", async () => {
    expectClear(await run({ ...good, data: { path: await file("rows.jsonl", '{"prompt": "a"}\n{"prompt"\n') } }), /rows\.jsonl.*2/s);
  });

  it.each<[string, string, Record<string, unknown>, RegExp]>([
    [
      "a teacher that a row names and the run does not have",
      '{"prompt": "1=", "teacher": "math"}',
      {},
      /data\.path.*"math"; the run has: default/,
    ],
    ["a column that is not there", '{"question": "1=", "answer": "one"}', {}, /"prompt".*it has: question, answer.*data\.promptField/s],
    [
      "completions that are not there",
      '{"prompt": "1=", "answer": "one"}',
      { phases: [{ preset: "sft", steps: 1 }] },
      /completion.*columns prompt, answer.*data\.completionField/s,
    ],
    [
      "references that a reward needs",
      '{"prompt": "1="}',
      { phases: [{ preset: "rl_gkd", steps: 1 }], rewards: [{ kind: "numeric" }] },
      /reward numeric reads references.*data\.referenceField/s,
    ],
  ])("names %s, before anything is started", async (_, row, more, message) => {
    expectClear(
      await run({ ...good, phases: [{ preset: "on_policy_kd", steps: 1 }], ...more, data: { path: await file("bad.jsonl", row) } }),
      message,
    );
  });

  it("names a metric that needs references, and a k beyond the samples", async () => {
    const bare = await file("bare.jsonl", '{"prompt": "1="}');
    expectClear(await run({ ...good, evaluation: { path: bare, metric: "numeric" } }), /evaluation\.metric is numeric.*has a reference/s);
    expectClear(
      await run({ ...good, evaluation: { path: good.data.path, passAt: [8], samplesPerPrompt: 2 } }),
      /evaluation\.passAt: is 8.*samplesPerPrompt is 2/s,
    );
  });

  it("leaves no run behind", async () => {
    const { runs } = await cluster.controller.listRuns({});
    expect(runs.filter(({ finished }) => !finished)).toEqual([]);
  });
});

describe("retort, without what it needs", () => {
  let directory: string;
  let occupied: Server;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-bad-"));
    occupied = createServer();
    await new Promise<void>((done) => occupied.listen(0, "127.0.0.1", done));
  });
  afterAll(async () => {
    occupied.close();
    await rm(directory, { recursive: true, force: true });
  });
  const port = () => String((occupied.address() as { port: number }).port);
  const data = () => ["--data-dir", join(directory, "data")];

  it("says that no controller is known", async () => {
    expectClear(await retort(["runs", ...data()]), /retort up/);
  });

  it("says that the controller cannot be reached", async () => {
    expectClear(await retort(["runs", "--controller", "127.0.0.1:1"]), /127\.0\.0\.1:1 cannot be reached/);
  });

  it("names TLS files that do not belong together, and one that is not there", async () => {
    expectClear(await retort(["runs", "--controller", "127.0.0.1:1", "--tls-cert", "a.crt"]), /--tls-key/);
    const files = ["--tls-cert", "a.crt", "--tls-key", "a.key"];
    expectClear(await retort(["runs", "--controller", "127.0.0.1:1", ...files]), /--tls-ca/);
    expectClear(await retort(["runs", "--controller", "127.0.0.1:1", ...files, "--tls-ca", "/nowhere/ca.crt"]), /\/nowhere\/ca\.crt/);
  });

  it("says that NATS cannot be reached, and ends", async () => {
    expectClear(
      await retort(["up", "--port", "0", ...data()], { RETORT_NATS_URL: "nats://127.0.0.1:1" }),
      /nats:\/\/127\.0\.0\.1:1 cannot be reached/,
    );
  });

  it("says that the port for NATS is in use, and ends", async () => {
    expectClear(await retort(["up", "--port", "0", "--nats-port", port(), ...data()]), new RegExp(`${port()}[\\s\\S]*in use`));
  });

  it("says that the controller's port is in use, and ends with NATS stopped", async () => {
    expectClear(await retort(["up", "--port", port(), ...data()]), new RegExp(`${port()}[\\s\\S]*in use`));
  });

  it("says that a model directory is not there", async () => {
    expectClear(await retort(["serve", "teacher", "--model", "/nowhere/model"]), /\/nowhere\/model/);
  });

  it("names an unknown command and an unknown role", async () => {
    expect((await retort(["distill"])).code).not.toBe(0);
    expectClear(await retort(["serve", "judge"]), /judge[\s\S]*teacher/);
  });
});
