import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Delay, Exit, RoleSet, Watcher } from "../../../services/controller/launch/launcher.js";
import { LocalLauncher } from "../../../services/controller/local/local-launcher.js";
import { createLog } from "../../../services/shared/base/log.js";
import { type ProcessSettings, processSettings } from "../../../services/shared/base/settings.js";
import { newRun } from "../../../services/shared/flow/runs/run-store.js";
import { eventually } from "../../support/servers/nats.js";

const canFill = existsSync("/dev/full");
if (!canFill) console.log("skipped: a log on a full device; this system has no /dev/full, as Linux has");
const log = createLog("test", { level: "silent", format: "json" });
const run = newRun({ runId: "r" });
const learner: RoleSet = { runId: "r", role: "learner", replicas: 1 };
const student: RoleSet = { runId: "r", role: "student", replicas: 1 };

describe("LocalLauncher", () => {
  let directory: string;
  let launcher: LocalLauncher;
  const exits: Exit[] = [];
  const delays: Delay[] = [];
  const watcher: Watcher = {
    ended: async (exit) => void exits.push(exit),
    delayed: async (delay) => void delays.push(delay),
  };

  const behave = (how: string) => writeFile(join(directory, "behaviour"), how);
  const started = async () => {
    const lines = (await readFile(join(directory, "started"), "utf8").catch(() => "")).trim().split("\n").filter(Boolean);
    return lines.map((line) => Number(line.split(" ")[1]));
  };
  const running = (count: number) => eventually(`${count} processes were started`, async () => (await started()).length >= count, 30_000);
  const isAlive = (pid: number) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };
  const open = (
    options: { settings?: ProcessSettings; maxRestarts?: number; restartWindowMs?: number; graceMs?: number; program?: string } = {},
  ) =>
    new LocalLauncher({
      settings: processSettings.parse({ dataDir: directory }),
      maxRestarts: 1,
      graceMs: 20_000,
      log,
      program: resolve("dist/test/support/workers/sample-role.js"),
      ...options,
    });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-launcher-"));
    exits.length = 0;
    delays.length = 0;
    launcher = open();
    await launcher.watch(watcher);
  });
  afterEach(async () => {
    await launcher.stop("r", "killed");
    await rm(directory, { recursive: true, force: true });
  });

  it("keeps a run's processes, and their logs, until they are asked to leave", async () => {
    await behave("stay");
    await launcher.launch(run, [learner, { ...student, replicas: 2 }]);
    await running(3);
    const pids = await started();
    await launcher.launch(run, [learner, { ...student, replicas: 2 }]);
    const path = join(directory, "runs", "r", "logs", "student-1.log");
    await eventually("the log is written", async () => (await readFile(path, "utf8").catch(() => "")).includes("what a student prints"));
    await launcher.stop("r");
    expect(pids.filter(isAlive)).toEqual([]);
    expect([await started(), exits]).toEqual([pids, []]);
  });

  it("passes on what may hold a password by environment, which no other user sees", async () => {
    const nats = "nats://user:secret-mark@127.0.0.1:4222";
    launcher = open({ settings: processSettings.parse({ dataDir: directory, nats, natsLogins: "/logins" }) });
    await behave("stay");
    await launcher.launch(run, [student]);
    await running(1);
    const [pid] = await started();
    const argv = (await readFile(join(directory, `argv-${pid}`), "utf8")).split("\n");
    expect(argv).toContain("--nats-logins=/logins");
    expect(argv.join(" ")).not.toContain("secret-mark");
    expect(await readFile(join(directory, `nats-${pid}`), "utf8")).toBe(nats);
  });

  it("ends at once what neither listens nor runs, if it is to be killed", async () => {
    await behave("deaf");
    await launcher.launch(run, [learner, student]);
    await running(2);
    const [deaf, frozen] = (await started()) as [number, number];
    process.kill(frozen, "SIGSTOP");
    const before = Date.now();
    await launcher.stop("r", "killed");
    expect([isAlive(deaf), isAlive(frozen)]).toEqual([false, false]);
    expect(Date.now() - before).toBeLessThan(10_000);
  });

  it("kills after its grace what does not leave when it is asked", async () => {
    launcher = open({ graceMs: 300 });
    await behave("deaf");
    await launcher.launch(run, [student]);
    await eventually("it is deaf", async () => existsSync(join(directory, "runs/r/logs/student-0.log")), 30_000);
    await running(1);
    await launcher.stop("r");
    expect((await started()).filter(isAlive)).toEqual([]);
  });

  it("starts what was killed again, more often than what crashes, and says so", async () => {
    await behave("stay");
    await launcher.launch(run, [student]);
    for (let kills = 1; kills <= 3; kills++) {
      await running(kills);
      process.kill((await started()).at(-1)!, "SIGKILL");
    }
    await running(4);
    expect(exits).toEqual([]);
    expect(delays.map(({ message }) => message)).toEqual([
      "student-0 was killed 3 times in 10 minutes; out of memory? (ended by SIGKILL); it is started again",
    ]);
  });

  it("tells of what crashes too often, with its last words", async () => {
    await behave("70");
    await launcher.launch(run, [student]);
    await eventually("it is told", () => exits.length > 0, 30_000);
    expect(exits).toEqual([{ set: student, code: 70, message: "code 70 it is" }]);
    expect(await started()).toHaveLength(2);
  });

  it("forgets crashes that are older than the window", async () => {
    launcher = open({ restartWindowMs: 1 });
    await launcher.watch(watcher);
    await behave("70");
    await launcher.launch(run, [student]);
    await running(3);
    expect(exits).toEqual([]);
  });

  it("starts nothing again of a run that is over", async () => {
    await launcher.watch({ ...watcher, goesOn: async () => false });
    await behave("70");
    await launcher.launch(run, [learner]);
    await eventually("it is told", () => exits.length > 0, 30_000);
    expect([exits.map(({ code }) => code), (await started()).length]).toEqual([[70], 1]);
  });

  it("survives a watcher that fails, and programs that cannot be started", async () => {
    await launcher.watch({ ended: () => Promise.reject(new Error("NATS is away")), delayed: () => Promise.reject(new Error("away")) });
    await behave("78");
    await launcher.launch(run, [student]);
    await running(1);
    const broken = open({ program: join(directory, "no such program.js"), maxRestarts: 0 });
    await broken.watch(watcher);
    await broken.launch(run, [student]);
    await eventually("it is told", () => exits.length > 0, 30_000);
    expect(exits[0]).toMatchObject({ set: student, code: 1 });
    await broken.close();
  });

  (canFill ? it : it.skip)("needs no disk: processes run on when their logs cannot be written", async () => {
    await behave("stay");
    await mkdir(join(directory, "runs", "r", "logs"), { recursive: true });
    await symlink("/dev/full", join(directory, "runs", "r", "logs", "learner-0.log"));
    await launcher.launch(run, [learner]);
    // Where the logs of another run would go is a file.
    await writeFile(join(directory, "runs", "other"), "");
    await launcher.launch(newRun({ runId: "other" }), [{ ...student, runId: "other" }]);
    await running(2);
    expect((await started()).every(isAlive)).toBe(true);
    await launcher.stop("other", "killed");
  });
});
