import { spawnSync } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorFinder, lastError, lastErrorIn, lossyDestination } from "../../../../services/shared/base/log.js";

const failure = (code: string) => Object.assign(new Error(`${code}: no room`), { code });

describe("lossyDestination()", () => {
  it("writes whole lines, however few bytes are taken at a time", () => {
    let written = "";
    const destination = lossyDestination(2, (_, bytes) => {
      written += Buffer.from(bytes.subarray(0, 3)).toString();
      return Math.min(3, bytes.length);
    });
    destination.write("one line\n");
    expect(written).toBe("one line\n");
  });

  it("drops lines while they cannot be written, and says how many before the next", () => {
    let [written, full] = ["", true];
    const destination = lossyDestination(2, (_, bytes) => {
      if (full) throw failure("ENOSPC");
      written += Buffer.from(bytes).toString();
      return bytes.length;
    });
    for (let i = 0; i < 3; i++) destination.write(`lost ${i}\n`);
    full = false;
    destination.write("kept\n");
    destination.write("kept too\n");
    const lines = written.trim().split("\n");
    expect(lines).toHaveLength(3);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 40, msg: "3 lines of this log are missing: ENOSPC: no room" });
    expect(lines.slice(1)).toEqual(["kept", "kept too"]);
  });

  it("waits for a reader that is slow for a moment", () => {
    let [tries, written] = [0, ""];
    const destination = lossyDestination(2, (_, bytes) => {
      if (++tries < 4) throw failure("EAGAIN");
      written += Buffer.from(bytes).toString();
      return bytes.length;
    });
    destination.write("line\n");
    expect([tries, written]).toEqual([4, "line\n"]);
  });
});

describe("createLog()", () => {
  if (!existsSync("/dev/full")) console.log("skipped: a log on a full device; this system has no /dev/full");
  const module = new URL("../../../../services/shared/base/log.js", import.meta.url).href;
  (existsSync("/dev/full") ? it : it.skip).each(["json", "pretty"])("does not end a process whose %s log cannot be written", (format) => {
    const program = `const { createLog } = await import(${JSON.stringify(module)});
      const log = createLog("t", { level: "info", format: "${format}" });
      for (let i = 0; i < 3; i++) { log.info("x"); log.error(new Error("y"), "z"); await new Promise((done) => setTimeout(done, 5)); }
      console.log("alive");`;
    const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", openSync("/dev/full", "w")],
      encoding: "utf8",
    });
    expect([stdout, status]).toEqual(["alive\n", 0]);
  });
});

const line = (level: number, msg: string): string => `${JSON.stringify({ level, msg })}\n`;

describe("lastError()", () => {
  it.each<[string, string, string | undefined]>([
    ["the last of several", line(50, "first") + line(60, "last") + line(30, "serving"), "last"],
    ["what a crashing runtime prints", `${line(50, "logged")}FATAL Error: out of memory\n  at Object.run\n`, "FATAL Error: out of memory"],
    ["a line that has no end yet", line(30, "serving") + line(50, "late").trim(), "late"],
    ["none where nothing went wrong", line(30, "serving") + line(40, "slow"), undefined],
    ["none in nothing", "", undefined],
    ["none in what is JSON and no line of a log", "null\n[]\n7\n", undefined],
  ])("finds %s", (_, text, found) => expect(lastError(text)).toBe(found));
});

describe("ErrorFinder", () => {
  it("finds an error whose line comes in pieces, cut within a character", () => {
    const bytes = Buffer.from(`${line(50, "kaputt: größer")}${line(30, "bye")}`);
    for (let size = 1; size < 20; size++) {
      const finder = new ErrorFinder();
      for (let at = 0; at < bytes.length; at += size) finder.read(bytes.subarray(at, at + size));
      expect(finder.last).toBe("kaputt: größer");
    }
  });
});

describe("lastErrorIn()", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-log-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("reads the end of a long log, and takes no half of a line for one", async () => {
    const path = join(directory, "long.log");
    await writeFile(path, line(50, "long ago") + line(30, `an Error ${"x".repeat(300_000)}`) + line(50, "now"));
    expect(await lastErrorIn(path)).toBe("now");
    await writeFile(path, line(30, `${"x".repeat(300_000)} an Error`));
    expect(await lastErrorIn(path)).toBeUndefined();
  });

  it("finds nothing where there is no log", async () => {
    expect(await lastErrorIn(join(directory, "none.log"))).toBeUndefined();
  });
});
