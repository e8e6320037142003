import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { AppendFile } from "../../../../services/learner/tracking/append-file.js";

describe("AppendFile", () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-append-"));
    path = join(directory, "file");
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("keeps the order of calls that don't wait for each other", async () => {
    const file = await AppendFile.open(path, 0);
    const pieces = Array.from({ length: 50 }, (_, i) => `${"x".repeat((i * 37) % 20)}${i}\n`);
    await Promise.all(pieces.map((piece) => file.append(Buffer.from(piece))));
    await file.close();
    expect(await readFile(path, "utf8")).toBe(pieces.join(""));
  });

  it("goes on behind the bytes that stay, and leaves nothing beside itself", async () => {
    await writeFile(path, "abcdef");
    const file = await AppendFile.open(path, 3);
    await file.append(Buffer.from("X"));
    await file.close();
    expect(await readFile(path, "utf8")).toBe("abcX");
    expect(await readdir(directory)).toEqual(["file"]);
  });

  // A process whose files may have 1 KiB is refused in the middle of a piece, as by a full disk; prlimit then gives it room.
  const limits = spawnSync("prlimit", ["--version"]).status === 0;
  if (!limits) console.warn("skipped: what AppendFile does without room; it needs prlimit (util-linux)");
  (limits ? it : it.skip)("leaves no part of a piece that has no room, and writes it with the next once there is", () => {
    const program = `
      import { spawnSync } from "node:child_process";
      import { readFileSync } from "node:fs";
      const { AppendFile } = await import(${JSON.stringify(resolve("dist/services/learner/tracking/append-file.js"))});
      process.on("SIGXFSZ", () => {});
      const path = ${JSON.stringify(path)};
      const file = await AppendFile.open(path, 0);
      const limit = (size) => spawnSync("prlimit", ["--pid", String(process.pid), "--fsize=" + size + ":"]);
      await file.append(Buffer.alloc(700, "a"));
      limit(1024);
      const error = await file.append(Buffer.alloc(700, "b")).then(() => undefined, (error) => error.code);
      const short = readFileSync(path, "utf8");
      limit("unlimited");
      await file.append(Buffer.alloc(10, "c"));
      const whole = readFileSync(path, "utf8");
      console.log(JSON.stringify([error, short === "a".repeat(700), whole === "a".repeat(700) + "b".repeat(700) + "c".repeat(10)]));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
    expect([stdout.trim(), stderr]).toEqual(['["EFBIG",true,true]', ""]);
  });
});
