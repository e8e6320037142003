import { createWriteStream, existsSync } from "node:fs";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProcessLog } from "../../../../services/controller/local/process-log.js";
import { eventually } from "../../../support/servers/nats.js";

const full = "/dev/full";
if (!existsSync(full)) console.log("skipped: a log on a full device; this system has no /dev/full");

describe("ProcessLog", () => {
  let directory: string;
  const said: string[] = [];
  const say = (sentence: string) => void said.push(sentence);
  const bytes = (text: string) => Buffer.from(text);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-log-"));
    said.length = 0;
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it("appends what a process prints, and makes the directory", async () => {
    const path = join(directory, "runs", "r", "logs", "student-0.log");
    for (const text of ["one\n", "two\n"]) {
      const log = new ProcessLog({ path, say });
      log.write(bytes(text));
      log.end();
      await eventually("it is written", async () => (await readFile(path, "utf8").catch(() => "")).endsWith(text));
    }
    expect(await readFile(path, "utf8")).toBe("one\ntwo\n");
    expect(said).toEqual([]);
  });

  (existsSync(full) ? it : it.skip)(
    "drops and counts what a full disk does not take, says so once, and goes on when there is room",
    async () => {
      const path = join(directory, "student-0.log");
      await symlink(full, path);
      const log = new ProcessLog({ path, say, retryMs: 1 });
      log.write(bytes("lost\n"));
      await eventually("it is dropped", () => log.dropped >= 5);
      for (let i = 0; i < 20; i++) log.write(bytes("lost too\n"));
      await eventually("all are dropped", () => log.dropped === 5 + 20 * 9);
      expect(said).toEqual([expect.stringMatching(/student-0\.log cannot be written \(ENOSPC.*dropped/)]);
      await rm(path);
      await eventually("it is written again", async () => {
        log.write(bytes("kept\n"));
        return (await readFile(path, "utf8").catch(() => "")).includes("kept\n");
      });
      await eventually("it says so", () => said.length === 2);
      expect(said[1]).toMatch(/can be written again; \d+ bytes are missing/);
      log.end();
    },
  );

  it("survives a stream that fails by itself, and a place that is no directory", async () => {
    await writeFile(join(directory, "file"), "");
    const log = new ProcessLog({ path: join(directory, "file", "x.log"), say, retryMs: 1 });
    log.write(bytes("a\n"));
    await eventually("it is dropped", () => log.dropped === 2);
    const path = join(directory, "broken.log");
    const opened: ReturnType<typeof createWriteStream>[] = [];
    const open = (where: string) => {
      const stream = createWriteStream(where, { flags: "a" });
      opened.push(stream);
      return stream;
    };
    const broken = new ProcessLog({ path, say, retryMs: 1, open });
    broken.write(bytes("before\n"));
    await eventually("it is written", async () => (await readFile(path, "utf8").catch(() => "")) === "before\n");
    opened[0]!.destroy(new Error("EIO: i/o error, write"));
    await eventually("another stream takes over", async () => {
      broken.write(bytes("after\n"));
      return (await readFile(path, "utf8")).endsWith("after\n");
    });
    expect(opened.length).toBeGreaterThan(1);
    broken.end();
    broken.write(bytes("too late\n"));
    expect(broken.dropped).toBeGreaterThan(0);
  });
});
