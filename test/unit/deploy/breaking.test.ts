import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const breaking = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["deploy/gen.mjs", "breaking", ...args], { encoding: "utf8" });
  return { status, said: stdout + stderr };
};
const hasHistory = spawnSync("git", ["rev-parse", "--verify", "--quiet", "HEAD"]).status === 0;
if (!hasHistory) console.warn("that the protos break no caller of main is not tested: this is no checkout of git");

describe("node deploy/gen.mjs breaking", () => {
  let place: string;
  beforeEach(() => {
    place = mkdtempSync(join(tmpdir(), "retort-earlier-"));
    cpSync("proto", join(place, "proto"), { recursive: true });
    cpSync("buf.yaml", join(place, "buf.yaml"));
  });
  afterEach(() => rmSync(place, { recursive: true }));

  /** Makes the protos of the place such that the present ones, compared with them, are what `to` became. */
  const was = (file: string, from: RegExp, to: string) => {
    const path = join(place, "proto/retort/v1", file);
    const before = readFileSync(path, "utf8");
    const after = before.replace(from, to);
    expect(after).not.toBe(before);
    writeFileSync(path, after);
  };

  it("passes what is as it was, and what only has more", () => {
    expect(breaking(place)).toEqual({ status: 0, said: "" });
    was("controller.proto", /^ {2}string request_id = 2 .*\n/m, "");
    expect(breaking(place)).toEqual({ status: 0, said: "" });
  });

  it.each([
    ["a field is gone", "run.proto", /( {2}uint32 step = 7)/, "  bool gone = 99;\n$1", /"99" with name "gone"/],
    [
      "a field has another type",
      "run.proto",
      /uint32 step = 7 \[.*\]/,
      "string step = 7",
      /"7" with name "step" on message "Run" changed type/,
    ],
    ["a field has another number", "run.proto", / step = 7 /, " step = 98 ", /"98" with name "step"/],
    ["a field has another name", "run.proto", /uint32 step = 7/, "uint32 done = 7", /changed name from "done" to "step"/],
    ["a value is gone", "run.proto", /( {2}RUN_STATE_STOPPED = 7;)/, "$1\n  RUN_STATE_LOST = 8;", /"8" on enum "RunState"/],
    ["a method is gone", "controller.proto", /( {2}rpc GetRun\()/, "  rpc Old(GetRunRequest) returns (GetRunResponse);\n$1", /RPC "Old"/],
    ["a stream is none", "controller.proto", /rpc GetRun\(GetRunRequest\) returns \(/, "$&stream ", /server streaming/],
  ])("refuses that %s", (_, file, from, to, said) => {
    was(file, from, to);
    const found = breaking(place);
    expect(found.said).toMatch(said);
    expect(found.status).not.toBe(0);
  });

  (hasHistory ? it : it.skip)("finds nothing between main and what is here", () => {
    const found = breaking();
    // A copy of one commit alone has no main to compare with.
    if (found.status === 64) expect(found.said).toContain("no branch main");
    else expect(found).toEqual({ status: 0, said: "" });
  });

  it("refuses a revision that there is none of", () => {
    expect(breaking("no-such-revision").status).not.toBe(0);
  });
});
