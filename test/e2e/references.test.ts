import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { expectClear, retort } from "../support/runs/retort.js";
import { eventually } from "../support/servers/nats.js";
import { TestS3 } from "../support/servers/s3.js";

const example = resolve("deploy/examples/num2words");
const body = `
checkpoints: { everySteps: 2, keep: 3 }
evaluation: { path: data/held-out.jsonl, limit: 8, everySteps: 2, keepBest: greedy }
phases: [{ preset: on_policy_kd, steps: 4, batchSize: 4, sampling: { maxNewTokens: 8 } }]`;

describe("what is named elsewhere", () => {
  let cluster: LocalCluster;
  let home: string;
  let output: string;
  let runId: string;
  const env = () => ({ RETORT_CONTROLLER: cluster.address, XDG_CACHE_HOME: join(home, "cache") });
  const sample = async (model: string) => {
    const { code, stdout, stderr } = await retort(["sample", "347=", "--model", model, "--temperature", "0", "--max", "8"], env());
    expect({ code, stderr: code ? stderr : "" }).toEqual({ code: 0, stderr: "" });
    return { text: stdout.trim(), stderr };
  };

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "retort-elsewhere-"));
    cluster = await LocalCluster.start();
    const { run } = await cluster.watch(await cluster.begin(tinySpec("first", body)));
    expect(run.state).toBe(RunState.SUCCEEDED);
    ({ output, runId } = run);
  }, 280_000);
  afterAll(async () => {
    await cluster.stop();
    await rm(home, { recursive: true, force: true });
  });

  it("is the student of a run, its best one, or that of a step, fetched from the controller", async () => {
    const { text, stderr } = await sample("run://first");
    expect(stderr).toMatch(/fetching run:\/\/first \([\d.]+ kB\) …/);
    expect(text).toBe((await sample(output)).text);
    expect((await sample(`run://${runId}`)).stderr).not.toContain("fetching");
    for (const which of ["best", "2"]) {
      const { stdout } = await retort(["fetch", `run://last/${which}`], env());
      expect(await readdir(stdout.trim())).toEqual(expect.arrayContaining(["config.json", "model.safetensors", "tokenizer.json"]));
    }
    const exported = join(home, "exported");
    expect((await retort(["export", "run://last/4", "--out", exported], env())).code).toBe(0);
    const weights = await Promise.all([output, exported].map((directory) => readFile(join(directory, "model.safetensors"))));
    expect(weights[0]!.equals(weights[1]!)).toBe(true);
    expectClear(await retort(["fetch", "run://first/3"], env()), /does not keep version 3; kept: .*checkpoints of the steps 2, 4$/m);
    expectClear(
      await retort(["export", "last", "--out", "s3://bucket/x"], env()),
      /--out is s3:\/\/bucket\/x; results are written to this machine alone/,
    );
  }, 120_000);

  it("is what a run's spec may name", async () => {
    const path = join(home, "second.yaml");
    const spec = (teacher: string) =>
      tinySpec("second", body)
        .replaceAll(/(model|path): (models|data)\//g, `$1: ${example}/$2/`)
        .replace(`${example}/models/teacher`, teacher);
    await writeFile(path, spec("run://first/best"));
    expect(await retort(["validate", path], env())).toMatchObject({ code: 0, stdout: `${path} can run\n` });
    await writeFile(path, spec("run://first/9"));
    expectClear(
      await retort(["validate", path], env()),
      /second\.yaml:5:\d+: teachers\[0\]\.model: is run:\/\/first\/9, and of run first-.* it has checkpoints of the steps 2, 4/,
    );
  }, 60_000);

  it("is a run that a shell completes, and that is shown as it goes", async () => {
    expect((await retort(["complete", "--", "watch", "fi"], env())).stdout).toMatch(
      new RegExp(`^directories\n${runId}\tsucceeded, step 4/4\n$`),
    );
    const going = await cluster.begin(
      tinySpec("going", "phases: [{ preset: on_policy_kd, steps: 5000, batchSize: 4, sampling: { maxNewTokens: 8 } }]"),
    );
    const read = async () => JSON.parse((await retort(["top", "--once", "--json"], env())).stdout);
    const haveTold = async () => {
      const [one] = await read();
      return one?.pace && one.processes.length === 3 && one.processes.every(({ figures }: { figures?: object }) => figures);
    };
    // Each look starts a program, which takes seconds where others compute.
    await eventually("all of its processes have told what they use", haveTold, 60_000);
    const { stdout } = await retort(["top", "--once"], env());
    expect(stdout).toMatch(
      new RegExp(`^${going} · running · step \\d+/5000 · ETA .*\n\\d+ tok/s · .* a step · stale [01]\\.\\d \\(at most [01]\\)`),
    );
    for (const role of ["learner", "student", "teacher"]) expect(stdout).toMatch(new RegExp(`^${role} \\d+ .* [\\d.]+ MB `, "m"));
    expect(stdout).toMatch(/^student +\d+ +\d+ +\d+$/m);
    expect(await read()).toEqual([expect.objectContaining({ run: expect.objectContaining({ runId: going }), queues: expect.any(Array) })]);
    await cluster.controller.stopRun({ runId: going, now: true });
    expect((await retort(["top"], env())).stdout).toBe("no run is going; `retort runs` lists those that are over\n");
  }, 120_000);

  it("is uploaded with a spec, once, and can be removed", async () => {
    const path = join(home, "uploaded.yaml");
    const spec = tinySpec("uploaded", "phases: [{ preset: on_policy_kd, steps: 1, batchSize: 2, sampling: { maxNewTokens: 4 } }]");
    await writeFile(path, spec.replaceAll(/(model|path): (models|data)\//g, `$1: ${example}/$2/`));
    const ran = await retort(["run", path, "--upload", "--json"], env());
    expect(ran.stderr).toMatch(/uploading .*models\/student \([\d.]+ kB\) …/);
    const { run } = JSON.parse(ran.stdout);
    expect(run).toMatchObject({
      state: "RUN_STATE_SUCCEEDED",
      spec: { data: { path: expect.stringContaining(`${cluster.directory}/uploads/trees/`) } },
    });
    const again = await retort(["upload", join(example, "models/student")], env());
    expect(again.stderr).toBe("");
    const listed = await retort(["uploads"], env());
    expect(listed.stdout).toContain(again.stdout.trim());
    expect((await retort(["uploads", "--remove", again.stdout.trim()], env())).stdout).toMatch(/^[\d.]+ kB are free again$/m);
    expectClear(await retort(["uploads", "--remove", again.stdout.trim()], env()), /there is no upload upload:\/\//);
  }, 120_000);

  it("is a model or data in S3", async () => {
    const s3 = await TestS3.start("shared");
    try {
      const { s3Client } = await import("../../services/shared/base/remote/s3-client.js");
      const { PutObjectCommand } = await import("@aws-sdk/client-s3");
      const client = s3Client(s3.endpoint);
      const put = async (Key: string, file: string) =>
        client.send(new PutObjectCommand({ Bucket: "shared", Key, Body: await readFile(file) }));
      for (const name of await readdir(join(example, "models/teacher")))
        await put(`models/teacher/${name}`, join(example, "models/teacher", name));
      await put("rows/held-out.jsonl", join(example, "data/held-out.jsonl"));
      client.destroy();
      const { stdout, code, stderr } = await retort(
        ["eval", "--model", "s3://shared/models/teacher", "--data", "s3://shared/rows/held-out.jsonl", "--limit", "4", "--json"],
        { ...env(), AWS_ENDPOINT_URL_S3: s3.endpoint },
      );
      expect({ code, stderr: code ? stderr : "" }).toEqual({ code: 0, stderr: "" });
      expect(JSON.parse(stdout)).toMatchObject({ greedy: 1 });
    } finally {
      await s3.stop();
    }
  }, 280_000);
});
