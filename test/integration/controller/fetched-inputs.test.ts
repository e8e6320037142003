import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { checkReferring } from "../../../services/controller/check/references.js";
import { roleDeployment } from "../../../services/controller/kubernetes/manifests.js";
import { fetchesOf } from "../../../services/controller/launch/fetches-of.js";
import { findReference } from "../../../services/controller/runs/find-reference.js";
import { s3Client } from "../../../services/shared/base/remote/s3-client.js";
import type { RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { newRun } from "../../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { type Run, RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { float32 } from "../../../services/shared/ml/graph/tensor.js";
import { initialFactors, loraOf } from "../../../services/shared/ml/models/adapter/layers.js";
import { saveAdapter } from "../../../services/shared/ml/models/files/adapter-files.js";
import { loadModel } from "../../../services/shared/ml/models/files/model-files.js";
import { digestOf } from "../../../services/shared/ml/models/model.js";
import type { Weights } from "../../../services/shared/ml/models/param-spec.js";
import { type CliResult, expectClear, retort } from "../../support/runs/retort.js";
import { type HubContent, TestHub } from "../../support/servers/hub.js";
import { TestS3 } from "../../support/servers/s3.js";

const example = resolve("deploy/examples/num2words");
const teacher = join(example, "models/teacher");
const template = {
  spec: {
    initContainers: [{ name: "retort-fetch", image: "retort:1", command: ["node", "dist/services/cli.js"] }],
    containers: [{ name: "retort", image: "retort:1" }],
  },
};

/** Saves an adapter of a model on this machine, which then names it as the fields say. Its numbers aren't those that leave a model as it is. */
async function saveAdapterOf(base: string, directory: string, fields: Readonly<Record<string, unknown>>): Promise<Weights> {
  const { config, tokenizer } = await loadModel(base);
  const lora = loraOf(config, { r: 2, alpha: 4, useRslora: false, targetModules: ["q_proj"] });
  const factors = new Map(
    [...initialFactors(config, lora, 1n)].map(([name, { dims, data }]) => [
      name,
      float32(
        data.map((_, i) => Math.sin(i) / 9),
        dims,
      ),
    ]),
  );
  await saveAdapter(directory, { lora, factors, base }, config, tokenizer);
  const { params } = await loadModel(directory);
  const path = join(directory, "adapter_config.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...fields }));
  return params;
}

// The test is the controller of a cluster, and the kubelets: a pod's cache is a directory, and its init container a process.
describe("a run whose models and data lie elsewhere", () => {
  let home: string;
  let cache: string;
  let hub: TestHub;
  let s3: TestS3;
  let merged: Weights;
  let adapter: ReadonlyMap<string, HubContent>;
  let teacherFiles: ReadonlyMap<string, HubContent>;
  let client: S3Client;
  const put = (Body: Buffer) => client.send(new PutObjectCommand({ Bucket: "data", Key: "rows/train.jsonl", Body }));
  const env = () => ({ XDG_CACHE_HOME: cache, HF_ENDPOINT: hub.url, AWS_ENDPOINT_URL_S3: s3.endpoint, HF_HOME: "", HF_HUB_CACHE: "" });

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "retort-fetched-"));
    const files = new Map<string, HubContent>();
    for (const name of await readdir(teacher))
      files.set(name, { bytes: await readFile(join(teacher, name)), large: name.endsWith(".safetensors") });
    hub = await TestHub.start("someone/a-teacher", files);
    const filesOf = async (directory: string) => {
      const read = (await readdir(directory)).map(async (name): Promise<[string, HubContent]> => {
        return [name, { bytes: await readFile(join(directory, name)), large: name.endsWith(".safetensors") }];
      });
      return new Map(await Promise.all(read));
    };
    merged = await saveAdapterOf(teacher, join(home, "adapter"), { base_model_name_or_path: "someone/a-teacher", revision: "v1" });
    adapter = await filesOf(join(home, "adapter"));
    hub.put("someone/an-adapter", adapter);
    teacherFiles = files;
    s3 = await TestS3.start("data");
    client = s3Client(s3.endpoint);
    await put(await readFile(join(example, "data/train.jsonl")));
  }, 300_000);
  afterAll(async () => {
    client.destroy();
    await Promise.all([hub.stop(), s3.stop()]);
    await rm(home, { recursive: true });
  });

  const spec = (model: string) =>
    parseSpec(
      `
name: fetched
student: { model: models/student }
teachers: [{ model: "${model}" }]
data: { path: "s3://data/rows/train.jsonl" }
phases: [{ steps: 1, sampling: { maxNewTokens: 40 } }]`,
      join(example, "spec.yaml"),
    );

  /** What the controller makes of the spec; its own cache is gone then, as no pod has it. */
  async function started(model = "hf://someone/a-teacher"): Promise<Run> {
    const before = { ...process.env };
    Object.assign(process.env, env());
    try {
      const find = findReference({ runs: {} as RunStore, mostFetchedBytes: 1_000_000 });
      const verdict = await checkReferring(spec(model), undefined, find);
      if ("problems" in verdict) throw new Error(JSON.stringify(verdict.problems));
      return newRun({ runId: "fetched-1", spec: verdict.spec, state: RunState.PENDING, totalSteps: 1, fetched: [...verdict.fetched] });
    } finally {
      process.env = before;
      await rename(cache, `${cache}.controller`);
    }
  }

  /** What the pods' init container is told, and how it ends. */
  function fetch(run: Run, role: "learner" | "teacher", more: NodeJS.ProcessEnv = {}): Promise<CliResult> {
    const set = { runId: run.runId, role, ...(role === "teacher" && { teacher: "default" }), replicas: 1 } as const;
    const templates = { learner: template, reward: template, student: template, teacher: template };
    const context = { namespace: "n", owner: "o", templates };
    const made = roleDeployment({ ...set, fetches: fetchesOf(run, set) }, undefined, context, undefined, 1);
    const [container] = made.spec?.template.spec?.initContainers ?? [];
    return retort(container?.args ?? [], { ...env(), ...more });
  }

  beforeEach(async () => {
    cache = await mkdtemp(join(home, "cache-"));
    hub.fetched.length = 0;
    hub.token = undefined;
  });

  it("is checked by heads, configs and data, and has all of it where the spec then says, at the commit that was checked", async () => {
    const run = await started();
    const model = run.spec?.teachers[0]?.model ?? "";
    expect(run.fetched.map(({ reference }) => reference)).toEqual([`hf://someone/a-teacher@${hub.commit}`, "s3://data/rows/train.jsonl"]);
    expect([model, run.spec?.data?.path]).toEqual(run.fetched.map(({ path }) => path));
    await mkdir(cache);
    expect(await fetch(run, "teacher")).toMatchObject({ code: 0, stdout: `${model}\n` });
    for (const name of await readdir(teacher))
      expect((await readFile(join(teacher, name))).equals(await readFile(join(model, name)))).toBe(true);
    expect(await fetch(run, "learner")).toMatchObject({ code: 0 });
    const rows = await readFile(run.spec?.data?.path ?? "");
    expect(rows.equals(await readFile(join(example, "data/train.jsonl")))).toBe(true);
  });

  it("has an adapter's base model, at the commit that its revision was when it was checked", async () => {
    const [first, second] = ["1".repeat(40), "2".repeat(40)];
    hub.put("someone/a-teacher", teacherFiles, { main: hub.commit, v1: first });
    const run = await started("hf://someone/an-adapter");
    expect(run.fetched[0]).toMatchObject({
      reference: `hf://someone/an-adapter@${hub.commit}`,
      base: `hf://someone/a-teacher@${first}`,
    });
    // The tag has moved since, and the commit is still there.
    hub.put("someone/a-teacher", teacherFiles, { main: hub.commit, v1: second, old: first });
    await mkdir(cache);
    const model = run.spec?.teachers[0]?.model ?? "";
    expect(await fetch(run, "teacher")).toMatchObject({ code: 0, stdout: `${model}\n` });
    const config = JSON.parse(await readFile(join(model, "adapter_config.json"), "utf8"));
    expect(config.base_model_name_or_path).toMatch(new RegExp(`/snapshots/${first}$`));
    expect(digestOf((await loadModel(model)).params)).toBe(digestOf(merged));
    hub.put("someone/a-teacher", teacherFiles);
  });

  it("says whose base model can't be had", async () => {
    hub.put("someone/a-teacher", teacherFiles, { main: hub.commit });
    const fetched = await retort(["fetch", "hf://someone/an-adapter"], env());
    expectClear(fetched, /^retort: the base model of the adapter hf:\/\/someone\/an-adapter: hf:\/\/someone\/a-teacher@v1: .* status 404/m);
  });

  it("reads the network once for the pods of one node, at a time and one after another", async () => {
    const run = await started();
    await mkdir(cache);
    hub.fetched.length = 0;
    const ends = await Promise.all([fetch(run, "teacher"), fetch(run, "teacher")]);
    expect(ends.map(({ code }) => code)).toEqual([0, 0]);
    const once = [...(await readdir(teacher))].sort();
    expect([...hub.fetched].sort()).toEqual(once);
    expect(await fetch(run, "teacher")).toMatchObject({ code: 0, stderr: "" });
    expect([...hub.fetched].sort()).toEqual(once);
  });

  it("says which model can't be had, where from, and what to do", async () => {
    const run = await started();
    await mkdir(cache);
    hub.token = "hf_secret";
    const gated = await fetch(run, "teacher");
    expectClear(
      gated,
      new RegExp(`^retort: hf://someone/a-teacher@${hub.commit}: ${hub.url} answers with status 401; .*Set HF_TOKEN`, "m"),
    );
    expect(gated.code).toBe(77);
    expect(await fetch(run, "teacher", { HF_TOKEN: "mine" })).toMatchObject({ code: 64, stderr: expect.stringContaining("HF_TOKEN") });
    expect(await fetch(run, "teacher", { HF_TOKEN: "hf_secret" })).toMatchObject({ code: 0 });
    const away = await fetch(run, "learner", { AWS_ENDPOINT_URL_S3: "http://127.0.0.1:9" });
    expectClear(away, /^retort: s3:\/\/data\/rows\/train\.jsonl: http:\/\/127\.0\.0\.1:9 can't be reached .*isn't in the cache/m);
    expect(away.code).toBe(69);
  });

  it("is not trained on other data than it was checked with", async () => {
    const run = await started();
    await mkdir(cache);
    await put(Buffer.from('{"prompt":"1","completion":"one"}\n'));
    const replaced = await fetch(run, "learner");
    expectClear(replaced, /it has been replaced since/);
    expect(replaced.code).toBe(78);
  });
});

describe("a spec that names what isn't there", () => {
  it("is refused with the field and the place", async () => {
    const find = findReference({ runs: {} as RunStore, mostFetchedBytes: 1_000_000 });
    const before = { ...process.env };
    Object.assign(process.env, { HF_ENDPOINT: "http://127.0.0.1:9", XDG_CACHE_HOME: await mkdtemp(join(tmpdir(), "retort-none-")) });
    try {
      const text = `name: x\nstudent: { model: models/student }\nteachers: [{ model: "hf://someone/else" }]\ndata: { path: data/train.jsonl }\nphases: [{ steps: 1, sampling: { maxNewTokens: 40 } }]`;
      const verdict = await checkReferring(parseSpec(text, join(example, "spec.yaml")), undefined, find);
      expect(verdict).toEqual({
        problems: [
          {
            fieldPath: "teachers[0].model",
            description: expect.stringMatching(/^hf:\/\/someone\/else: http:\/\/127\.0\.0\.1:9 can't be reached/),
          },
        ],
      });
    } finally {
      process.env = before;
    }
  });
});
