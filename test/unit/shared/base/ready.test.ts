import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { whenServing } from "../../../../services/shared/base/ready.js";

const program = fileURLToPath(new URL("../../../support/workers/ready-process.js", import.meta.url));

describe("whenServing()", () => {
  let directory: string;
  let child: ChildProcess;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-ready-"));
  });
  afterEach(() => {
    child.kill("SIGKILL");
  });
  afterAll(() => rm(directory, { recursive: true }));

  const start = (what: string, log?: string): ChildProcess => {
    const output = log ? openSync(log, "w") : "pipe";
    child = spawn(process.execPath, [program, what], { stdio: ["ignore", output, output, "ipc"] });
    return child;
  };

  it("says where a child serves, and then has no channel to it any more", async () => {
    expect(await whenServing(start("serve"))).toEqual({ host: "127.0.0.1", grpcPort: 1, healthPort: 2, metricsPort: 3 });
    const [code] = await once(child, "exit");
    expect([code, child.connected]).toEqual([0, false]);
  });

  it("throws the child's own reason", async () => {
    await expect(whenServing(start("fail"))).rejects.toMatchObject({ code: "NotFound", message: "there is no model here" });
  });

  it("throws what the log of a child ends with that died without a word", async () => {
    const log = join(directory, "crash.log");
    await expect(whenServing(start("crash", log), { log })).rejects.toThrow("RangeError: too far");
  });

  it("throws when a child ends without a word, in its log neither", async () => {
    const log = join(directory, "quiet.log");
    await expect(whenServing(start("quiet", log), { log })).rejects.toThrow(`it ended before it served; see ${log}`);
    await expect(whenServing(start("quiet"))).rejects.toThrow("it ended before it served");
  });

  it("throws when a child was killed", async () => {
    const serving = whenServing(start("hang"));
    child.kill("SIGKILL");
    await expect(serving).rejects.toThrow("it ended before it served");
    // Also for those who ask now.
    await expect(whenServing(child)).rejects.toThrow("it ended before it served");
  });

  it("throws when a child takes too long", async () => {
    await expect(whenServing(start("hang"), { timeoutMs: 100 })).rejects.toMatchObject({ code: "DeadlineExceeded" });
  });

  it("throws when there is no such program", async () => {
    child = spawn("/nowhere/program", [], { stdio: ["ignore", "ignore", "ignore", "ipc"] });
    await expect(whenServing(child)).rejects.toMatchObject({ code: "Unavailable", message: expect.stringMatching(/ENOENT/) });
  });
});

describe("tellParent()", () => {
  it("means nothing to a child whose parent does not listen any more", async () => {
    const child = spawn(process.execPath, [program, "serve-later"], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    await once(child.stdout!, "data");
    child.disconnect();
    expect(await once(child.stdout!, "data")).toEqual([Buffer.from("told\n")]);
    expect((await once(child, "exit"))[0]).toBe(0);
  });

  it("means nothing to a child without a channel", async () => {
    const child = spawn(process.execPath, [program, "serve"], { stdio: "ignore" });
    expect((await once(child, "exit"))[0]).toBe(0);
  });
});
