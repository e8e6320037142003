import { assertions, circles, importsIn, undocumented } from "../../../support/tools/sources.js";

describe("importsIn()", () => {
  it("finds every form of import", () => {
    const text = [
      'import "./setup.js";',
      'import { a } from "./a.js";',
      'import type { B } from "../b/b.js";',
      'import {\n  c,\n  d,\n} from "./c/d.js";',
      'export * from "./e.js";',
      'import zod from "zod";',
      'const f = await import("./f.js");',
      'type G = import("./g.js").G;',
    ].join("\n");
    const targets = ["room/setup.ts", "room/a.ts", "b/b.ts", "room/c/d.ts", "room/e.ts", "room/f.ts", "room/g.ts"];
    expect(importsIn(text, "room/own.ts")).toEqual(targets.map((target) => ({ target, dynamic: /[fg]\.ts$/.test(target) })));
  });
});

describe("circles()", () => {
  it("are sets of nodes that lead to each other", () => {
    const arrows = { a: ["b"], b: ["c"], c: ["a", "d"], d: ["e"], e: ["d"], f: ["a"], g: [] };
    expect(circles(new Map(Object.entries(arrows)))).toEqual([
      ["a", "b", "c"],
      ["d", "e"],
    ]);
    expect(circles(new Map(Object.entries({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] })))).toEqual([]);
  });
});

describe("undocumented()", () => {
  it("names each export that has no comment", () => {
    const kinds = ["function f() {", "async function* g() {", "abstract class H {", "interface I {", "type J = 1;", "const k = 1;"];
    const text = kinds.map((kind) => `export ${kind}\n`).join("\n");
    expect(undocumented(text)).toEqual(["f", "g", "H", "I", "J", "k"]);
    expect(undocumented(text.replaceAll("export", "/** What it is. */\nexport"))).toEqual([]);
    expect(undocumented("/** Sums. */\nexport function f(): void;\nexport function f(x?: number): void {}")).toEqual([]);
  });
});

describe("assertions()", () => {
  it("counts what is asserted, but for indices, words and comparisons", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a template
    const counted = ["a!.b", "f(x)!", "g(y!, z!)", "`text ${w!.x}`", "#own!.run()"];
    expect(counted.map(assertions)).toEqual([1, 1, 2, 1, 1]);
    const others = ["list[i]!", "a != b", "a !== b", "!a", '"hello!"', "`oh!`", "// so!", "/* so! */", "late!: string;"];
    expect(others.map(assertions)).toEqual(others.map(() => 0));
  });
});
