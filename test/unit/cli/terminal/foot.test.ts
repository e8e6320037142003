import { execFileSync } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import stringWidth from "string-width";
import { barText } from "../../../../services/cli/terminal/bar.js";
import { Foot } from "../../../../services/cli/terminal/foot.js";
import { styleFor } from "../../../../services/cli/terminal/style.js";
import { paper } from "../../../support/cli/paper.js";

describe("Foot", () => {
  it.each([80, 200])("cuts its line to %d columns", (columns) => {
    const { out, text } = paper({ isTTY: true, columns });
    const foot = new Foot(out);
    foot.show("x".repeat(300));
    foot.clear();
    const widths = stripVTControlCharacters(text())
      .split("\n")
      .map((line) => stringWidth(line));
    expect(Math.max(...widths)).toBe(columns - 1);
  });

  it("writes what stays, and nothing else, where there is no terminal", () => {
    const { out, text } = paper({ isTTY: false });
    const foot = new Foot(out);
    foot.show("a bar");
    foot.print("a line");
    foot.clear();
    expect(text()).toBe("a line\n");
  });

  it("draws again below a line that stays", () => {
    const { out, text } = paper({ isTTY: true });
    const foot = new Foot(out);
    foot.show("the bar");
    foot.print("a line");
    expect(stripVTControlCharacters(text())).toMatch(/the bar\n.*a line\n.*the bar\n$/s);
    foot.clear();
  });
});

describe("barText()", () => {
  it.each([
    [80, 16],
    [200, 32],
  ])("is a fifth of %d columns, at most 32", (columns, size) => {
    const text = barText(1, 4, 75, paper({ isTTY: true, columns }).out);
    expect(text).toBe(`${"█".repeat(size / 4)}${"░".repeat((3 * size) / 4)} 1/4 ETA 1 min 15 s`);
  });
});

describe("styleFor()", () => {
  const program = `const { styleFor } = await import(${JSON.stringify(new URL("../../../../services/cli/terminal/style.js", import.meta.url))});
    console.log(styleFor(process.stdout).red("x"));`;
  const piped = (env: NodeJS.ProcessEnv): string =>
    execFileSync(process.execPath, ["--input-type=module", "-e", program], { env, encoding: "utf8" }).trim();

  it("decides for each stream on its own", () => {
    expect(styleFor(paper({ isTTY: true }).out).red("x")).toBe("\u001b[31mx\u001b[39m");
    expect(styleFor(paper({ isTTY: false }).out).red("x")).toBe("x");
  });

  // Jest gives its tests a copy of the environment, which Node's own code doesn't see.
  it("leaves a pipe plain, unless FORCE_COLOR asks for colours", () => {
    expect(piped({})).toBe("x");
    expect(piped({ FORCE_COLOR: "1" })).toBe("\u001b[31mx\u001b[39m");
  });
});
