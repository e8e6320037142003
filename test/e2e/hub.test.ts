import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expectClear, retort } from "../support/runs/retort.js";
import { type HubContent, TestHub } from "../support/servers/hub.js";

const example = resolve("deploy/examples/num2words");
const teacher = join(example, "models/teacher");

describe("a model that is named on a hub", () => {
  let home: string;
  let hub: TestHub;
  const env = () => ({ HF_HOME: home, HF_ENDPOINT: hub.url });

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "retort-hub-"));
    const files = new Map<string, HubContent>([["pytorch_model.bin", { bytes: Buffer.alloc(100), large: true }]]);
    for (const name of await readdir(teacher))
      files.set(name, { bytes: await readFile(join(teacher, name)), large: name.endsWith(".safetensors") });
    hub = await TestHub.start("someone/a-teacher", files);
  });
  afterAll(async () => {
    await hub.stop();
    await rm(home, { recursive: true });
  });

  it("is what a command reads, in options and in arguments", async () => {
    const sampled = await retort(["sample", "347=", "--model", "hf://someone/a-teacher", "--temperature", "0"], env());
    expect(sampled.stderr).toMatch(/fetching hf:\/\/someone\/a-teacher \(\d+ kB\) …/);
    expect(sampled.stdout.trim()).toBe("347=three hundred forty seven");
    expect(hub.fetched).not.toContain("pytorch_model.bin");
    const before = hub.fetched.length;
    const fetched = await retort(["fetch", "hf://someone/a-teacher"], env());
    expect(fetched).toMatchObject({ code: 0, stderr: "" });
    const described = await retort(["models", "hf://someone/a-teacher", "--json"], env());
    expect(JSON.parse(described.stdout)).toEqual(JSON.parse((await retort(["models", fetched.stdout.trim(), "--json"])).stdout));
    expect(hub.fetched).toHaveLength(before);
  });

  it("is what a run's spec may name, with a commit", async () => {
    const spec = join(home, "spec.yaml");
    const text = await readFile(join(example, "smoke.yaml"), "utf8");
    const absolute = text.replaceAll(/(model|path): (models|data)\//g, `$1: ${example}/$2/`);
    await writeFile(spec, absolute.replace(join(example, "models/teacher"), `hf://someone/a-teacher@${hub.commit}`));
    const read = await retort(["data", spec], env());
    expect(read.stderr).toBe("");
    expect(read.code).toBe(0);
    await writeFile(spec, absolute.replace(join(example, "models/teacher"), "hf://someone/nothing"));
    expectClear(
      await retort(["data", spec], env()),
      /hf:\/\/someone\/nothing: .* answers with status 404: there is no such repository or revision/,
    );
  });

  it("stays named so in a spec that retort init writes for it", async () => {
    const out = join(home, "first.yaml");
    const written = await retort(
      ["init", "--student", "hf://someone/a-teacher", "--data", join(example, "data/train.jsonl"), "--out", out],
      env(),
    );
    expect(written.code).toBe(0);
    const text = await readFile(out, "utf8");
    expect(text).toContain('model: "hf://someone/a-teacher"');
    expect(text).not.toContain(home);
    expect((await retort(["validate", out], env())).code).toBe(0);
  });

  it("comes without its weights, where a server has these", async () => {
    const spec = join(home, "remote.yaml");
    const text = (await readFile(join(example, "smoke.yaml"), "utf8")).replaceAll(/(model|path): (models|data)\//g, `$1: ${example}/$2/`);
    const server = 'hf://someone/a-teacher, server: { url: "http://127.0.0.1:9/v1" }';
    await writeFile(spec, text.replace(join(example, "models/teacher"), server));
    const before = hub.fetched.length;
    const read = await retort(["data", spec], { ...env(), HF_HOME: join(home, "another") });
    expect(read.code).toBe(0);
    const fetched = hub.fetched.slice(before);
    expect(fetched).toContain("tokenizer.json");
    expect(fetched).not.toContain("model.safetensors");
  });
});
