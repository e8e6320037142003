import { type ChildProcess, execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { end, spawnRole } from "../../../services/cli/local.js";
import { whenServing } from "../../../services/shared/base/ready.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { requirements } from "../../support/jest/integration-setup.js";
import { LocalCluster } from "../../support/runs/local-run.js";
import { findGoTool, grpcurl } from "../../support/tools/go-tool.js";
import { pythonWith } from "../../support/tools/python.js";

const run = promisify(execFile);
const examples = resolve("deploy/examples/num2words");

const python = await pythonWith("grpcio", requirements);
const curl = await findGoTool(grpcurl);
if (!curl) console.warn("grpcurl's lines are not tested: neither grpcurl nor Go is on the PATH");

describe("a program that uses only the protos", () => {
  let directory: string;
  let protos: string;
  let cluster: LocalCluster;
  let teacher: ChildProcess;
  let teacherAddress: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-clients-"));
    protos = join(directory, "protos");
    await run(process.execPath, ["deploy/gen.mjs", "export", ".", "-o", protos]);
    cluster = await LocalCluster.start();
    const log = join(directory, "teacher.log");
    teacher = spawnRole("teacher", ["--model", join(examples, "models/teacher"), "--log-format", "json"], log);
    teacherAddress = `127.0.0.1:${(await whenServing(teacher, { log })).grpcPort}`;
  });
  afterAll(async () => {
    await end(teacher, 5000);
    await cluster.stop();
    await rm(directory, { recursive: true });
  });

  const addresses = () => ["--controller", cluster.address, "--teacher", teacherAddress, "--examples", examples];

  /** What an example printed must be what the cluster knows. */
  async function check(stdout: string): Promise<void> {
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, number | string>);
    const [described, right, wrong] = lines;
    expect(described).toEqual({ teacher: { architecture: "llama", vocabSize: expect.any(Number) } });
    // The teacher knows that 347 is not forty eight.
    expect(right).toMatchObject({ answer: "three hundred forty seven", tokens: 25 });
    expect(right!.logprob).toBeGreaterThan(-0.1);
    expect(wrong!.logprob).toBeLessThan(-5);
    const { runId } = await cluster.watch(String(lines.find((line) => "run" in line)!.run)).then(({ run: known }) => known);
    const { events } = await cluster.watch(runId);
    const steps = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    expect(lines.filter((line) => "step" in line)).toEqual(steps.map(({ step, loss, reward }) => ({ step, loss, reward })));
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3]);
    // What the example judged is what the run was trained on: three steps of eight prompts.
    expect(lines.at(-1)).toEqual({ ended: "RUN_STATE_SUCCEEDED", judged: 24 });
    for (const { reward } of steps) expect(reward).toBeGreaterThan(0);
  }

  it("is TypeScript: scores, rewards, starts a run and follows it", async () => {
    const client = resolve("dist/deploy/examples/clients/typescript/client.js");
    const { stdout } = await run(process.execPath, [client, "--protos", protos, ...addresses()]);
    await check(stdout);
  });

  (python ? it : it.skip)("is Python: scores, rewards, starts a run and follows it", async () => {
    const stubs = join(directory, "stubs");
    await mkdir(stubs);
    const files = ((await readdir(protos, { recursive: true })) as string[]).filter((name) => name.endsWith(".proto"));
    await run(python!, ["-m", "grpc_tools.protoc", "-I", protos, `--python_out=${stubs}`, `--grpc_python_out=${stubs}`, ...files]);
    const env = { ...process.env, PYTHONPATH: stubs };
    const { stdout } = await run(python!, ["deploy/examples/clients/python/client.py", ...addresses()], { env });
    await check(stdout);
  });

  (curl ? it : it.skip)("is grpcurl, by reflection: the README's lines", async () => {
    const lines = [...(await readFile("deploy/examples/clients/README.md", "utf8")).matchAll(/^ {4}(grpcurl .*(?:\n {6}.*)*)$/gm)].map(
      ([, line]) => line!,
    );
    expect(lines.length).toBe(5);
    for (const line of lines) {
      const [newest] = (await cluster.controller.listRuns({})).runs;
      const here = line
        .replace("grpcurl", curl!)
        .replace("localhost:7070", cluster.address)
        .replace("localhost:7071", teacherAddress)
        .replace('"RUN"', JSON.stringify(newest?.runId));
      const { stdout } = await run("bash", ["-euc", here]);
      expect([line, stdout.trim()]).not.toEqual([line, ""]);
    }
    const [last] = (await cluster.controller.listRuns({})).runs;
    expect(last).toMatchObject({ spec: { name: "curl" }, state: RunState.SUCCEEDED, message: "" });
  });
});
