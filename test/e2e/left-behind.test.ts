import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connectController } from "../../services/cli/local.js";
import { isRunning } from "../../services/shared/base/processes.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { tinySpec } from "../support/local-run.js";
import { eventually } from "../support/nats.js";

const cli = resolve("dist/services/cli.js");
const spec = tinySpec(
  "left",
  "phases: [{ preset: on_policy_kd, steps: 400, batchSize: 8, sampling: { maxNewTokens: 8 } }]\ncheckpoints: { everySteps: 5 }",
);

/** `retort up` as a process of its own, to be killed. */
class Up {
  readonly child: ChildProcess;
  said = "";

  constructor(directory: string) {
    this.child = spawn(process.execPath, [cli, "up", "--port", "0", "--data-dir", directory], {
      stdio: ["ignore", "ignore", "pipe"],
      env: process.env,
    });
    this.child.stderr!.on("data", (text: Buffer) => {
      this.said += text;
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const gone = new Promise((done) => this.child.once("exit", done));
    this.child.kill(signal);
    await gone;
  }
}

describe("what `retort up` leaves when it is killed", () => {
  let directory: string;
  let second: Up | undefined;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-left-"));
  });
  afterAll(async () => {
    await second?.end("SIGTERM");
    await rm(directory, { recursive: true, force: true });
  });

  const address = () => readFile(join(directory, "address"), "utf8").then((text) => text.trim());

  it("ends, and the next one goes on with its run from the newest checkpoint", async () => {
    const first = new Up(directory);
    await eventually("the first one serves", () => address().then(Boolean, () => false));
    const controller = connectController(await address());
    const { run } = await controller.startRun({ spec: parseSpec(spec, resolve("deploy/examples/num2words/test.yaml")) });
    const runId = run!.runId;
    await eventually("some steps are done", async () => (await controller.getRun({ runId })).run!.step > 6, 60_000);
    controller.close();
    const pid = Number(await readFile(join(directory, "controller.pid"), "utf8"));
    await first.end("SIGKILL");
    await rm(join(directory, "address"));

    second = new Up(directory);
    await eventually("the next one serves", () => address().then(Boolean, () => false), 60_000);
    expect(await isRunning(pid, directory)).toBe(false);
    expect(second.said).toMatch(/left behind/);
    const again = connectController(await address());
    await eventually("the run goes on", async () => (await again.getRun({ runId })).run!.step > 30, 60_000);
    expect((await again.getRun({ runId })).run!.state).toBe(RunState.RUNNING);
    await again.stopRun({ runId });
    await eventually("the run is stopped", async () => (await again.getRun({ runId })).run!.state === RunState.STOPPED, 60_000);
    again.close();
  });

  it("ends by itself when no next one comes", async () => {
    const pid = Number(await readFile(join(directory, "controller.pid"), "utf8"));
    const up = second!;
    second = undefined;
    await up.end("SIGKILL");
    await eventually("the controller is gone", async () => !(await isRunning(pid, directory)), 30_000);
    // Its nats-server would be ended by the next one; here nobody comes.
    const third = new Up(directory);
    await rm(join(directory, "address"));
    await eventually("the third one serves", () => address().then(Boolean, () => false), 60_000);
    await third.end("SIGTERM");
  });
});
