import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

interface Results {
  readonly problems: readonly string[];
  readonly results: readonly { readonly struck: readonly unknown[]; readonly same: boolean }[];
}

// `npm run chaos` in its short form. It is a program of its own: it has its own mounts, where that is permitted.
describe("a synchronous run over all processes that is struck by faults", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-chaos-test-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("loses nothing: its weights are those of an undisturbed one, bit for bit, and no process is left", async () => {
    const json = join(directory, "results.json");
    const child = spawn(process.execPath, [resolve("dist/test/chaos/main.js"), "--short", "--json", json], {
      stdio: ["ignore", "pipe", "pipe"],
      env: process.env,
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text: Buffer) => {
        said += text;
      });
    await once(child, "close");
    const skipped = /the disk is not filled: .*/.exec(said)?.[0];
    if (skipped) console.log(skipped);
    const { problems, results } = JSON.parse(await readFile(json, "utf8").catch(() => "{}")) as Results;
    // With what it said, when something does not hold.
    expect(problems?.length === 0 ? problems : said).toEqual([]);
    expect(results[0]!.same).toBe(true);
    expect(results[0]!.struck.length).toBeGreaterThanOrEqual(8);
  }, 600_000);
});
