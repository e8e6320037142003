import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { watchMemory } from "../../../../../services/cli/demo/smollm2/peak-memory.js";

const hasProc = process.platform === "linux";
if (!hasProc) console.log("skipped: the peak of each role's memory is read from /proc; run the tests on Linux");
const whereProc = hasProc ? it : it.skip;

describe("watchMemory()", () => {
  whereProc("gives the peak of each role below this process, also of one that another has started", async () => {
    const megabytes = 200;
    const held = `Buffer.alloc(${megabytes} << 20, 1); console.log("held"); setTimeout(() => {}, 60_000)`;
    const outer = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(held)}, "x", "--role=learner"], { stdio: "inherit" })`;
    const stop = watchMemory();
    const child = spawn(process.execPath, ["-e", outer], { stdio: ["ignore", "pipe", "inherit"], detached: true });
    try {
      await once(child.stdout!, "data");
      await sleep(1200);
    } finally {
      process.kill(-child.pid!, "SIGKILL");
    }
    const peaks = await stop();
    // Another suite of this process may have roles of its own below it.
    expect(peaks).toHaveProperty("learner");
    expect(peaks.learner).toBeGreaterThan(megabytes * 1e6);
    expect(peaks.learner).toBeLessThan(3 * megabytes * 1e6);
  });
});
