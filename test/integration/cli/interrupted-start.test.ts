import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isAlive } from "../../../services/shared/base/processes.js";
import { eventually } from "../../support/servers/nats.js";

const cli = resolve("dist/services/cli.js");

// Each begins as the user's command does, and is ended as soon as there is something to leave behind.
describe("a command that is ended while its controller starts", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-interrupted-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const start = (...argv: readonly string[]): ChildProcess => {
    const env = { ...process.env, XDG_STATE_HOME: directory, XDG_RUNTIME_DIR: "", TMPDIR: directory };
    return spawn(process.execPath, [cli, ...argv], { env, stdio: "ignore" });
  };
  const written = async (path: string): Promise<number> => {
    await eventually(path, () => existsSync(path));
    const read = async () => Number(await readFile(path, "utf8"));
    await eventually("a process id", async () => (await read()) > 0);
    return read();
  };

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("leaves no process behind after %s", async (signal, code) => {
    const data = join(directory, "data");
    const command = start("up", "--port", "0", "--data-dir", data);
    const exited = once(command, "exit");
    const controller = await written(join(data, "controller.pid"));
    const ports = await readdir(join(data, "nats", "ports"));
    command.kill(signal);
    expect(await exited).toEqual([code, null]);
    // When it has ended, they have.
    expect([controller, ...ports.map((name) => Number(/_(\d+)\.ports$/.exec(name)?.[1]))].filter(isAlive)).toEqual([]);
    expect(existsSync(join(data, "lock"))).toBe(false);
  });

  it("leaves no directory of its own behind", async () => {
    const command = start("reproduce", "lambda", "--quick", "--data-dir", join(directory, "data"), "--out", join(directory, "out"));
    const exited = once(command, "exit");
    const own = async () => (await readdir(directory)).find((name) => name.startsWith("retort-reproduce-"));
    await eventually("a directory of its own", async () => (await own()) !== undefined);
    const controller = await written(join(directory, (await own())!, "controller.pid"));
    command.kill("SIGTERM");
    expect(await exited).toEqual([143, null]);
    expect([await own(), isAlive(controller)]).toEqual([undefined, false]);
  });
});
