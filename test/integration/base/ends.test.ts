import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import pLimit from "p-limit";

const program = resolve("dist/test/support/workers/ends.js");

const endOf = async (...argv: readonly string[]): Promise<unknown> => {
  const child = spawn(process.execPath, [program, ...argv], { stdio: ["ignore", "inherit", "inherit"] });
  const [code, signal] = await once(child, "close");
  return signal ?? code;
};

// onnxruntime-node aborts the process whose thread is terminated while it loads the library or calls it.
describe("a process that ends while a thread of it is within native code", () => {
  it.each([
    ["close", "load"],
    ["close", "compute"],
    ["exit", "load"],
    ["exit", "compute"],
  ])("has the exit code that it gives (%s, %s)", async (how, when) => {
    const moments = when === "load" ? [0, 40, 80, 120, 160, 200, 240, 280, 320, 400, 500, 600] : [600, 900, 1200];
    const limited = pLimit(3);
    const ends = await Promise.all(moments.map((ms) => limited(endOf, how, when, `${ms}`)));
    expect(ends).toEqual(moments.map(() => 78));
  });
});
