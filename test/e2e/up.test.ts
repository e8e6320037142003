import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type ControllerClient, connectController } from "../../services/cli/local.js";
import { startedServers } from "../../services/shared/base/nats-server.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { canSeeProcesses } from "../support/runs/descendants.js";
import { tinySpec } from "../support/runs/local-run.js";
import { type CliProcess, expectClear, retort, startRetort } from "../support/runs/retort.js";
import { eventually } from "../support/servers/nats.js";

const spec = tinySpec(
  "kept",
  "phases: [{ preset: on_policy_kd, steps: 100000, batchSize: 4, sampling: { maxNewTokens: 8 } }]\ncheckpoints: { everySteps: 5 }",
);

describe("`retort up`", () => {
  let directory: string;
  let up: CliProcess;
  let controller: ControllerClient;
  let runId: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-up-"));
    // What an earlier one left: the ids of processes that are other programs by now.
    for (const file of ["pid", "controller.pid"]) await writeFile(join(directory, file), `${process.pid}\n`);
    await writeFile(join(directory, "lock"), "");
    up = startRetort(["up", "--port", "0", "--data-dir", directory, "--force"]);
    await up.output("stdout", /\n/);
    controller = connectController((await readFile(join(directory, "address"), "utf8")).trim());
    const { run } = await controller.startRun({ spec: parseSpec(spec, resolve("deploy/examples/num2words/test.yaml")) });
    runId = run!.runId;
  }, 120_000);
  afterAll(async () => {
    controller.close();
    if (up.child.exitCode === null) up.ctrlC();
    await up.ended;
    await rm(directory, { recursive: true, force: true });
  });

  const step = () =>
    controller.getRun({ runId }).then(
      ({ run }) => (run!.state === RunState.RUNNING ? run!.step : -1),
      () => -1,
    );
  /** Waits until the run is two steps further than it is. */
  const goesOn = async () => {
    await eventually("the run is going", async () => (await step()) >= 0, 120_000);
    const from = await step();
    await eventually("the run goes on", async () => (await step()) >= from + 2, 120_000);
  };

  it.each([
    ["nats-server", async () => (await startedServers(join(directory, "nats")))[0]!],
    ["the controller", async () => Number(await readFile(join(directory, "controller.pid"), "utf8"))],
    // Where the system shows no parents of processes, nats-server once more.
    ["nats-server", async () => keeperOf((await startedServers(join(directory, "nats")))[0]!)],
  ])(
    "starts %s again when it is killed, says so, and its run goes on",
    async (name, pid) => {
      await goesOn();
      const before = (await up.output("stderr", /^/)).length;
      process.kill(await pid(), "SIGKILL");
      await up.output("stderr", new RegExp(`[\\s\\S]{${before}}${name} ended \\(SIGKILL[\\s\\S]*${name} runs again`));
      await goesOn();
    },
    300_000,
  );

  it("starts nats-server again, which has stopped storing on a full disk, when there is space", async () => {
    await appendFile(join(directory, "nats", "nats.log"), "[1] 2026/01/01 00:00:00 [ERR] JetStream out of space, will be DISABLED\n");
    await up.output("stderr", /has stopped storing[\s\S]*ended \(its disk was full and has space again\)[\s\S]*nats-server runs again/);
    await goesOn();
  }, 300_000);

  it("lets no second one at its directory", async () => {
    expectClear(await retort(["up", "--port", "0", "--data-dir", directory]), new RegExp(`process ${up.child.pid} uses .*--data-dir`));
    await goesOn();
  }, 120_000);
});

/** The process that started another; the process itself where the system does not show it. */
async function keeperOf(pid: number): Promise<number> {
  if (!canSeeProcesses) return pid;
  const status = await readFile(`/proc/${pid}/stat`, "utf8");
  return Number(status.slice(status.lastIndexOf(")") + 2).split(" ")[1]);
}
