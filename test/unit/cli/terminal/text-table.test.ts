import { stripVTControlCharacters } from "node:util";
import stringWidth from "string-width";
import { textTable } from "../../../../services/cli/terminal/text-table.js";
import { paper } from "../../../support/cli/paper.js";

const columns = [
  { name: "run", rank: 3 },
  { name: "state", rank: 3 },
  { name: "step", rank: 3, align: "right" as const },
  "started",
  { name: "student", cut: "start" as const },
];
const rows = [
  [
    "on-policy-251125-101112-abc",
    "succeeded",
    "200/200",
    "2025-11-25 10:11:12",
    "/home/somebody/projects/distil/.retort/runs/on-policy/student",
  ],
  ["一二三-251125-101112-abc", "failed", "3/9", "2025-11-25 10:11:12", "no room\nat all"],
];

describe("textTable()", () => {
  it("aligns its columns, with no box, no colour and nothing cut where there is no terminal", () => {
    const lines = textTable(
      ["name", { name: "n", align: "right" }],
      [
        ["a", "1"],
        ["longer", "22"],
      ],
      paper({ isTTY: false }).out,
    ).split("\n");
    expect(lines).toEqual(["name     n", "a        1", "longer  22"]);
    const long = "x".repeat(500);
    expect(textTable(["name", "n"], [[long, "1"]], paper({ isTTY: false }).out)).toContain(`${long}  1`);
  });

  it.each([80, 120, 200])("fits a terminal of %d columns, in lines that don't wrap", (width) => {
    const lines = textTable(columns, rows, paper({ isTTY: true, columns: width }).out).split("\n");
    expect(lines.length).toBe(3);
    for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(width);
  });

  it("cuts what matters least, and of a path its start", () => {
    const [, first, second] = textTable(columns, rows, paper({ isTTY: true, columns: 80 }).out).split("\n");
    expect(first).toContain("on-policy-251125-101112-abc  succeeded  200/200  2025-11");
    expect(first).toMatch(/ …[\w/-]*student$/);
    expect(second).toMatch(/ …room at all$/);
    expect(textTable(columns, rows, paper({ isTTY: true, columns: 200 }).out)).not.toContain("…");
  });

  it("drops a column that can't be cut rather than let the rest become unreadable, the least important first", () => {
    const whole = (name: string, rank: number) => ({ name, rank, whole: true as const });
    const head = ["text", whole("least", 0), whole("less", 1), whole("most", 2)];
    const row = ["x".repeat(40), "1234567890", "1234567890", "1234567890"];
    const at = (width: number) => textTable(head, [row], paper({ isTTY: true, columns: width }).out).split("\n");
    expect(at(80)[1]).toBe(row.join("  "));
    expect(at(70)[1]).toBe([`${"x".repeat(33)}…`, ...row.slice(1)].join("  "));
    expect(at(60).map((line) => stripVTControlCharacters(line))).toEqual([
      `text${" ".repeat(32)}  less        most`,
      [`${"x".repeat(35)}…`, row[2], row[3]].join("  "),
    ]);
    expect(at(42)[1]).toBe([`${"x".repeat(29)}…`, row[3]].join("  "));
  });

  it("cuts all columns before it drops one", () => {
    const [, first] = textTable(columns, rows, paper({ isTTY: true, columns: 40 }).out).split("\n");
    expect(stringWidth(first!)).toBeLessThanOrEqual(40);
    expect(first!.match(/…/g)?.length).toBeGreaterThan(1);
  });
});
