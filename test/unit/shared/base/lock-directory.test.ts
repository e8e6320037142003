import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { lockDirectory } from "../../../../services/shared/base/lock-directory.js";

describe("lockDirectory()", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-lock-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it.each(["short", "a-directory-whose-name-is-far-too-long-for-a-socket/".repeat(4)])("lets one in at a time (%s)", async (name) => {
    const directory = join(root, name);
    await mkdir(directory, { recursive: true });
    const lock = await lockDirectory(directory);
    await expect(lockDirectory(directory)).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(new RegExp(`process ${process.pid} uses .* already; .*--data-dir`)),
    });
    await lock.release();
    await (await lockDirectory(directory)).release();
  });

  it("is free again when its process was killed, and a pid file that names a live process is no lock", async () => {
    const module = resolve("dist/services/shared/base/lock-directory.js");
    const script = `const { lockDirectory } = await import(${JSON.stringify(module)});
      await lockDirectory(${JSON.stringify(root)}); console.log("locked"); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    await once(child.stdout, "data");
    await expect(lockDirectory(root)).rejects.toThrow(`process ${child.pid} uses`);
    child.kill("SIGKILL");
    await exited;
    await writeFile(join(root, "pid"), `${process.ppid}\n`);
    await (await lockDirectory(root)).release();
  });

  it("lets one of many in that come at once upon a dead one's socket", async () => {
    const module = resolve("dist/services/shared/base/lock-directory.js");
    const script = `const { lockDirectory } = await import(${JSON.stringify(module)});
      await lockDirectory(${JSON.stringify(root)}); process.kill(process.pid, "SIGKILL");`;
    await once(spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" }), "exit");
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(root)));
    const won = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(won).toHaveLength(1);
    await won[0]!.release();
  });
});
