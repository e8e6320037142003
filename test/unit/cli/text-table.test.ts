import { textTable } from "../../../services/cli/text-table.js";

describe("textTable()", () => {
  it("aligns its columns, without colour where there is no terminal", () => {
    const lines = textTable(
      ["name", "n"],
      [
        ["a", "1"],
        ["longer", "22"],
      ],
      { isTTY: false },
    ).split("\n");
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[3]).toBe("│ a      │ 1  │");
    expect(lines.join("")).not.toContain("\u001b");
  });
});
