import { addedTo, LogTail, linesForPeople } from "../../../../services/cli/runs/log-lines.js";
import { paper } from "../../../support/cli/paper.js";

const record = (time: number, msg: string) => JSON.stringify({ level: 30, time, pid: 1, hostname: "h", name: "learner", msg });
const log = (name: string, ...lines: string[]) => ({
  name,
  role: name.split("-")[0] ?? "",
  text: lines.map((line) => `${line}\n`).join(""),
});

describe("addedTo()", () => {
  it.each([
    ["a\nb\n", "a\nb\nc\n", "c\n"],
    ["a\nb\n", "b\nc\n", "c\n"],
    ["a\na\na\n", "a\na\na\n", ""],
    ["a\na\nb\n", "a\nb\nc\n", "c\n"],
    ["", "a\n", "a\n"],
    ["a\nb\n", "c\nd\n", undefined],
  ])("of %j then %j is %j", (before, now, added) => expect(addedTo(before, now)).toBe(added));

  it("finds where two ends of one log touch, wherever they begin", () => {
    const lines = Array.from({ length: 300 }, (_, i) => `line ${i % 7} at ${i}\n`);
    const part = (from: number, to = 300) => lines.slice(from, to).join("");
    for (const [from, to, start] of [
      [0, 90, 0],
      [0, 90, 45],
      [10, 200, 199],
      [50, 60, 59],
    ] as const)
      expect(addedTo(part(from, to), part(start))).toBe(part(to));
  });
});

describe("LogTail", () => {
  it("orders the lines of all processes by time, and shows each once", () => {
    const tail = new LogTail();
    const first = tail.next([log("learner-0", record(1, "a"), "a library's words", record(5, "c")), log("teacher-0", record(3, "b"))]);
    expect(first.map(({ name, line }) => [name, line])).toEqual([
      ["learner-0", record(1, "a")],
      ["learner-0", "a library's words"],
      ["teacher-0", record(3, "b")],
      ["learner-0", record(5, "c")],
    ]);
    const next = tail.next([
      log("learner-0", record(5, "c"), record(6, "d")),
      log("teacher-0", record(3, "b")),
      log("reward-0", record(7, "e")),
    ]);
    expect(next.map(({ line }) => line)).toEqual([record(6, "d"), record(7, "e")]);
  });

  it("says where lines are missing", () => {
    const tail = new LogTail();
    tail.next([log("learner-0", record(1, "a"))]);
    expect(tail.next([log("learner-0", record(9, "z"))]).map(({ line }) => line)).toEqual([
      expect.stringContaining("missing"),
      record(9, "z"),
    ]);
  });
});

describe("linesForPeople()", () => {
  const show = linesForPeople(paper({ isTTY: false }).out);
  const line = (text: string) => ({ name: "student-1", role: "student", line: text, timeMs: 0 });

  it("names the process, and keeps a record on one line without colour", () => {
    expect(show(line(record(0, "sampled")))).toMatch(/^\[\d\d:\d\d:\d\d\] INFO \(student-1\): sampled$/);
    expect(show(line('{"level":50,"time":1,"err":{"type":"Error"},"msg":"no"}'))).toMatch(/ERROR \(student-1\): no/);
  });

  it.each(["words", "{no record", '{"time":"then"}'])("leaves %j as it is", (text) => expect(show(line(text))).toBe(`student-1: ${text}`));
});
