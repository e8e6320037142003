import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../../support/workers/sample-process.js", import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly notes: string[];
  readonly log: string;
  readonly tookMs: number;
}

/** Runs the sample process; `onNote` may send it signals. */
async function run(end: string, onNote: (note: string, child: ChildProcess) => void = () => {}): Promise<Outcome> {
  const child = spawn(process.execPath, [program, end], { stdio: ["ignore", "pipe", "pipe"] });
  const notes: string[] = [];
  let log = "";
  let signalled = Date.now();
  child.stderr!.on("data", (text: Buffer) => {
    log += text;
  });
  child.stdout!.on("data", (text: Buffer) => {
    for (const note of text.toString().trim().split("\n")) {
      notes.push(note);
      signalled = Date.now();
      onNote(note, child);
    }
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, notes, log, tookMs: Date.now() - signalled };
}

const terminateAt = (note: string) => (seen: string, child: ChildProcess) => {
  if (seen === note) child.kill("SIGTERM");
};

describe("runProcess()", () => {
  it.each([
    ["finish", 0],
    ["bad-spec", 64],
    ["reject", 70],
    ["throw", 70],
  ])("starts in order, says that it stops, stops in reverse and exits by its outcome: %s, code %i", async (end, code) => {
    const outcome = await run(end);
    expect(outcome.notes).toEqual(["start a", "start b", "stopping", "stop b", "stop a"]);
    expect(outcome.code).toBe(code);
  });

  it("logs why it failed", async () => {
    expect((await run("reject")).log).toContain("nobody heard this");
    expect((await run("bad-spec")).log).toContain("beta is 2");
  });

  it("stops what was started when a service cannot start", async () => {
    const outcome = await run("fail-to-start");
    expect(outcome.notes).toEqual(["start a", "stopping", "stop b", "stop a"]);
    expect(outcome.code).toBe(78);
    expect(outcome.log).toContain("port 1 is in use");
  });

  it("stops at SIGTERM and exits with 0", async () => {
    const outcome = await run("wait", terminateAt("start b"));
    expect(outcome.notes).toEqual(["start a", "start b", "stopping", "stop b", "stop a"]);
    expect(outcome.code).toBe(0);
  });

  it("exits as cancelled when SIGTERM cuts its work short", async () => {
    const outcome = await run("hand-back", terminateAt("start b"));
    expect(outcome.notes).toEqual(["start a", "start b", "stopping", "stop b", "stop a"]);
    expect(outcome.code).toBe(130);
  });

  it("does not wait for a start that a signal interrupts", async () => {
    const outcome = await run("slow-start", terminateAt("starting b"));
    expect(outcome.notes).toEqual(["start a", "starting b", "stopping", "stop b", "stop a"]);
    expect(outcome.code).toBe(130);
    expect(outcome.tookMs).toBeLessThan(1000);
  });

  it("stops the others when one cannot stop", async () => {
    const outcome = await run("fail-to-stop", terminateAt("start b"));
    expect(outcome.notes).toEqual(["start a", "start b", "stopping", "stop b", "stop a"]);
    expect(outcome.log).toContain("stuck");
  });

  it("exits after its grace period, whatever hangs", async () => {
    const outcome = await run("slow-stop", terminateAt("start b"));
    expect(outcome.code).toBe(75);
    expect(outcome.tookMs).toBeGreaterThan(1200);
    expect(outcome.tookMs).toBeLessThan(4000);
  });

  it("exits at once at the second signal", async () => {
    const outcome = await run("slow-stop", (note, child) => {
      if (note === "start b") child.kill("SIGINT");
      if (note === "stop b") child.kill("SIGINT");
    });
    expect(outcome.code).toBe(130);
    expect(outcome.tookMs).toBeLessThan(1000);
  });
});
