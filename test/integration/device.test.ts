import { spawnSync } from "node:child_process";
import { access, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalLauncher } from "../../services/controller/local/local-launcher.js";
import { createLog } from "../../services/shared/base/log.js";
import { processSettings, readSettings } from "../../services/shared/base/settings.js";
import { newRun } from "../../services/shared/flow/runs/run-store.js";
import { availableDevices, checkDevice, devices, obstacle } from "../../services/shared/ml/runtime/device.js";
import type { Device } from "../../services/shared/ml/runtime/session.js";
import { expectClear, retort } from "../support/runs/retort.js";
import { example, RoleProcess, RunBench } from "../support/runs/run-bench.js";
import { specOf } from "../support/runs/run-spec.js";
import { eventually } from "../support/servers/nats.js";

/** Why WebGPU is refused, and the way out. */
const webgpu = /webgpu (is refused|cannot be used here): .*FusedMatMul.*use device cpu, or cuda/;

describe("the device setting", () => {
  let available: Device[];
  /** A device that this machine has not. */
  let missing: Device | undefined;
  beforeAll(async () => {
    available = await availableDevices();
    missing = devices.find((device) => !available.includes(device));
    if (!missing) console.log("this machine has every device: what happens without one is not tested here");
  });
  const expected = () => new RegExp(`device ${missing} cannot be used here.*available: ${available.join(", ")}`);

  it("allows the CPU everywhere", async () => {
    expect(available).toContain("cpu");
    await expect(checkDevice("cpu")).resolves.toBeUndefined();
  });

  it.each(["student", "teacher", "learner"])(
    "ends a %s that stands alone before it serves, with the devices that there are",
    async (role) => {
      if (!missing) return;
      const started = new RoleProcess([`--role=${role}`, "--log-format=json", "--model", example("models/student"), "--device", missing]);
      expect(await started.exit).toBe(78);
      expect(started.log).toMatch(expected());
      expect(started.log).not.toContain("is serving");
    },
  );

  it.each(["student", "teacher", "learner", "reward"])(
    "ends a %s on webgpu before it serves, with the reason and the way out",
    async (role) => {
      const model = role === "reward" ? [] : ["--model", example("models/student")];
      const started = new RoleProcess([`--role=${role}`, "--log-format=json", ...model, "--device=webgpu"]);
      expect(await started.exit).toBe(78);
      expect(started.log).toMatch(webgpu);
      expect(started.log).not.toContain("is serving");
    },
  );

  it.each([
    ["sample", "1=", "--model", example("models/student")],
    ["eval", "--model", example("models/student"), "--data", example("data/held-out.jsonl")],
  ])("ends retort %s on webgpu likewise", async (...argv) => {
    expectClear(await retort([...argv, "--device", "webgpu"]), webgpu);
  });

  it("ends the processes of a run likewise: their launcher must not try again", async () => {
    if (!missing) return;
    const bench = await RunBench.start("phases: [{ preset: on_policy_kd, steps: 1 }]");
    try {
      await bench.announce(0);
      for (const role of ["student", "teacher", "learner"]) {
        const started = bench.role(role, `--device=${missing}`);
        expect(await started.exit).toBe(78);
        expect(started.log).toMatch(expected());
      }
    } finally {
      await bench.stop();
    }
  });
});

describe("npm run test:gpu", () => {
  const main = (...argv: string[]) => spawnSync(process.execPath, ["dist/test/gpu/main.js", ...argv], { encoding: "utf8" });

  it("says what is missing where there is no GPU, and ends with 78", async () => {
    const reason = await obstacle("cuda");
    if (reason === undefined) return console.log("this machine has a GPU: what is said without one is not tested here");
    const { status, stderr } = main();
    expect([status, stderr.trim()]).toEqual([78, `device cuda cannot be used here: ${reason}`]);
  });

  it.each([
    ["--device", "tpu", "cpu, cuda, webgpu"],
    ["--shapes", "tiny,huge", "tiny, medium"],
    ["--runtimes", "fast", "stock, native"],
  ])("knows %s by name", (option, word, known) => {
    const { status, stderr } = main("--device", "cpu", option, word);
    expect([status, stderr]).toEqual([64, expect.stringContaining(known)]);
  });
});

describe("LocalLauncher", () => {
  it("gives every role the device and threads that the spec names for it", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "retort-launcher-"));
    // Nothing answers there: the processes say how they were started, and end.
    const settings = readSettings(processSettings, ["--nats=nats://127.0.0.1:1", `--data-dir=${dataDir}`], {});
    const log = createLog("test", { level: "silent", format: "json" });
    const launcher = new LocalLauncher({ settings, maxRestarts: 0, graceMs: 5000, log });
    const roles = {
      student: { device: "cuda", threads: 2 },
      teacher: { device: "webgpu", threads: 3 },
      reward: { device: "cpu", threads: 4 },
      learner: { device: "cuda", threads: 5 },
    };
    const runId = "launched";
    try {
      const sets = (["learner", "student", "teacher", "reward"] as const).map((role) => ({
        runId,
        role,
        replicas: 1,
        ...(role === "teacher" ? { teacher: "t" } : {}),
      }));
      await launcher.launch(newRun({ runId, spec: specOf({ roles }) }), sets);
      for (const [role, { device, threads }] of Object.entries(roles)) {
        const file = join(dataDir, "runs", runId, "logs", role === "teacher" ? "teacher-t-0.log" : `${role}-0.log`);
        const said = async () =>
          access(file).then(
            () => readFile(file, "utf8"),
            () => "",
          );
        await eventually(`${role} says how it was started`, async () => (await said()).includes('"settings":'), 60_000);
        const first = JSON.parse((await said()).split("\n")[0]!) as { settings: Record<string, unknown> };
        // What is a default is not said.
        expect(first.settings).toMatchObject({ run: runId, threads, ...(device === "cpu" ? {} : { device }) });
      }
    } finally {
      await launcher.close();
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
