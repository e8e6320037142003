import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { loadAdaptable, loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { digestOf } from "../../services/shared/ml/models/model.js";
import { digestOfStudent, LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { retort } from "../support/runs/retort.js";

// As test/e2e/determinism.test.ts: synchronous and with one worker per role, the adapter is a function of the spec alone.
const spec = (name: string, student: string, steps: number) =>
  tinySpec(
    name,
    `
rollouts: { maxStaleness: 0 }
checkpoints: { everySteps: 4 }
evaluation: { holdOut: 8 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases:
  - preset: on_policy_kd
    steps: ${steps}
    batchSize: 8
    sampling: { maxNewTokens: 16 }
    optimizer: { learningRate: 0.01, weightDecay: 0.01 }
`,
  ).replace("student: { model: models/student }", `student: ${student}`);

const base = resolve("deploy/examples/num2words/models/student");
const adapted = "{ model: models/student, lora: { r: 4, alpha: 8, targetModules: [q_proj, v_proj, o_proj, up_proj, down_proj] } }";

describe("a run that trains an adapter", () => {
  let cluster: LocalCluster;
  let output: string;
  let runId: string;
  let undisturbed: string;
  /** The files of a version that a caller was sent while the run went on. */
  const sent = new Set<string>();

  beforeAll(async () => {
    cluster = await LocalCluster.start();
    runId = await cluster.begin(spec("adapter", adapted, 16));
    const { run } = await cluster.watch(runId, async ({ event }) => {
      if (event.case !== "stepFinished" || event.value.step !== 8) return;
      for await (const { part } of cluster.controller.getWeights({ runId })) if (part.case === "chunk") sent.add(part.value.name);
    });
    expect([run.message, run.state]).toEqual(["", RunState.SUCCEEDED]);
    output = run.output;
    undisturbed = await digestOfStudent(run);
  });
  afterAll(() => cluster.stop());

  it("leaves PEFT's directory, and in its checkpoints the adapter with its moments alone", async () => {
    expect((await readdir(output)).filter((name) => !name.startsWith("."))).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const { adapter, params } = await loadAdaptable(output);
    expect(adapter).toMatchObject({ base, lora: { r: 4, alpha: 8 } });
    expect(digestOf(params)).toBe(digestOf((await loadModel(base)).params));
    expect([...adapter!.factors.values()].every(({ data }) => data.some((x) => x !== 0))).toBe(true);
    const checkpoints = join(cluster.directory, "runs", runId, "checkpoints");
    const [newest] = (await readdir(checkpoints)).sort().reverse();
    const names = await readdir(join(checkpoints, newest!));
    expect(names).toEqual(expect.arrayContaining(["adapter_model.safetensors", "base.json", "optimizer.safetensors", "state.json"]));
    expect(names).not.toContain("model.safetensors");
    const size = async (name: string) => (await stat(join(checkpoints, newest!, name))).size;
    expect(await size("optimizer.safetensors")).toBeLessThan(2.2 * (await size("adapter_model.safetensors")));
  });

  it.each(["learner", "student"])("gives the same adapter when its %s is killed", async (role) => {
    const id = await cluster.begin(spec("adapter", adapted, 16));
    let killed = 0;
    const { run } = await cluster.watch(id, async ({ event }) => {
      if (event.case !== "stepFinished" || event.value.step !== 6 || killed) return;
      killed = await cluster.pidOf(id, role);
      process.kill(killed, "SIGKILL");
    });
    expect(killed).toBeGreaterThan(0);
    expect([run.message, run.state]).toEqual(["", RunState.SUCCEEDED]);
    expect(await digestOfStudent(run)).toBe(undisturbed);
  });

  it("is exported as the adapter, or merged into its base", async () => {
    const exported = async (...options: string[]) => {
      const out = join(cluster.directory, `export${options.join("")}`);
      const { code, stderr } = await retort(["export", runId, "--out", out, "--controller", cluster.address, ...options]);
      expect([code, code ? stderr : ""]).toEqual([0, ""]);
      return out;
    };
    const adapter = await exported();
    expect(await readFile(join(adapter, "adapter_model.safetensors"))).toEqual(await readFile(join(output, "adapter_model.safetensors")));
    const merged = await exported("--merged");
    expect(await readdir(merged)).toEqual(expect.arrayContaining(["config.json", "model.safetensors", "tokenizer.json"]));
    expect(digestOf((await loadModel(merged)).params)).toBe(digestOf((await loadModel(adapter)).params));
    for (const directory of [adapter, merged]) await rm(directory, { recursive: true });
  });

  it("gives out an adapter alone while it goes on, too: its base is where it was", () => {
    expect([...sent].sort()).toEqual(["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"]);
  });

  it("goes on from an adapter's directory", async () => {
    const { run } = await cluster.watch(await cluster.begin(spec("onwards", `{ model: ${output} }`, 3)));
    expect([run.message, run.state]).toEqual(["", RunState.SUCCEEDED]);
    const { adapter } = await loadAdaptable(run.output);
    expect(adapter).toMatchObject({ base, lora: { r: 4, alpha: 8 } });
    expect(await digestOfStudent(run)).not.toBe(undisturbed);
  });

  it("may hold its base in half precision, and tells what that costs", async () => {
    const half = spec("half", adapted, 3).replace("learner: { threads: 1 }", "learner: { threads: 1, dtype: bfloat16 }");
    const costs: { readonly role: string; readonly dtype: string; readonly tokens: number | undefined }[] = [];
    const { run } = await cluster.watch(await cluster.begin(half), async ({ event }) => {
      if (event.case !== "modelOpened") return;
      const { role, dtype, precision } = event.value;
      costs.push({ role, dtype, tokens: precision?.tokens });
    });
    expect([run.message, run.state]).toEqual(["", RunState.SUCCEEDED]);
    expect(costs).toEqual([{ role: "learner", dtype: "bfloat16", tokens: expect.any(Number) }]);
    expect(costs[0]?.tokens).toBeGreaterThan(0);
    const { adapter } = await loadAdaptable(run.output);
    expect([...adapter!.factors.values()].every(({ data }) => data.some((x) => x !== 0))).toBe(true);
    const all = spec("refused", "{ model: models/student }", 1).replace(
      "learner: { threads: 1 }",
      "learner: { threads: 1, dtype: bfloat16 }",
    );
    await expect(cluster.begin(all)).rejects.toThrow(/roles\.learner\.dtype.*trains all weights of the student; leave bfloat16 out/s);
  });

  it("is refused with one problem for each module that is not there, and on a student from scratch", async () => {
    const problemsOf = async (student: string) => {
      const refusal = await cluster.begin(spec("refused", student, 1)).catch((error: Error) => error);
      return String((refusal as Error).message);
    };
    const wrong = await problemsOf("{ model: models/student, lora: { targetModules: [query, v_proj, c_attn] } }");
    expect(wrong).toMatch(/targetModules\[0\].*no linear layer "query".*q_proj, k_proj, v_proj, o_proj, gate_proj/s);
    expect(wrong).toMatch(/targetModules\[2\].*"c_attn"/s);
    expect(await problemsOf(`{ model: ${output}, lora: {} }`)).toMatch(/student\.lora.*is an adapter already; leave lora out/s);
  });
});
