import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../../../services/cli.js", import.meta.url));

/** What a command that runs onnxruntime leaves in the directory of temporary files, where its telemetry keeps what it will send. */
function leftBehind(env: NodeJS.ProcessEnv): string[] {
  const scratch = mkdtempSync(join(tmpdir(), "retort-telemetry-"));
  try {
    // Its makers turn it off under CI themselves.
    const { status, stderr } = spawnSync(
      process.execPath,
      [program, "sample", "12=", "--model", "deploy/examples/num2words/models/student"],
      {
        env: { ...process.env, CI: undefined, ORT_DISABLE_TELEMETRY: undefined, TMPDIR: scratch, ...env },
        encoding: "utf8",
      },
    );
    expect({ status, stderr: status ? stderr : "" }).toEqual({ status: 0, stderr: "" });
    return readdirSync(scratch);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

describe("onnxruntime's telemetry", () => {
  it("is off", () => {
    expect(leftBehind({})).toEqual([]);
  });

  it("is what the user says, if they say anything", () => {
    expect(leftBehind({ ORT_DISABLE_TELEMETRY: "0" })).not.toEqual([]);
  });
});
