import { dirname, relative } from "node:path";
import { assertions, circles, type Import, importsIn, sourcesOf, textOf, undocumented } from "../support/tools/sources.js";

const roles = ["student", "teacher", "reward", "learner", "controller"];

/** What every role may import. */
const shared = ["shared/gen", "shared/base", "shared/ml", "shared/flow", "shared/codec", "shared/tasks", "shared/openai"];

/** What each room may import besides itself: the table of services/README.md. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  "shared/gen": [],
  "shared/base": ["shared/gen"],
  "shared/ml": ["shared/base"],
  "shared/flow": ["shared/gen", "shared/base"],
  "shared/codec": ["shared/gen", "shared/base", "shared/ml", "shared/flow"],
  "shared/openai": ["shared/gen", "shared/base", "shared/ml", "shared/flow"],
  "shared/tasks": ["shared/base", "shared/ml"],
  ...Object.fromEntries(roles.map((role) => [role, shared])),
  console: ["shared/gen", "shared/base", "shared/flow"],
  cli: [...shared, "console"],
  reproduce: shared,
  "cli.ts": ["cli", ...shared],
  "main.ts": [...shared, ...roles],
};

/** What a room may load besides, when it is needed: by `import()` alone. */
const mayLoad: Readonly<Record<string, readonly string[]>> = { cli: ["reproduce"] };

/** How many `!` services/ may have on what isn't an index: what is parsed needs none. Lower it when there are fewer. */
const mostAssertions = 20;

const files = sourcesOf("services", [".ts", ".tsx"]);
const texts = new Map(files.map((file) => [file, textOf("services", file)]));
const imports = new Map<string, readonly Import[]>([...texts].map(([file, text]) => [file, importsIn(text, file).map(located)]));
const written = [...texts].filter(([file]) => !file.startsWith("shared/gen/"));

/** An import with the ending of the file that is there: one of the page's views ends with `.tsx`. */
function located({ target, dynamic }: Import): Import {
  return { target: !texts.has(target) && texts.has(`${target}x`) ? `${target}x` : target, dynamic };
}

function roomOf(file: string): string {
  const [first = "", second] = file.split("/");
  return first === "shared" ? `shared/${second}` : first;
}

describe("the arrows between rooms", () => {
  it("are those of services/README.md", () => {
    const wrong = [...imports].flatMap(([file, own]) =>
      own.flatMap(({ target, dynamic }) => {
        const [from, to] = [roomOf(file), roomOf(target)];
        const allowed = from === to || mayImport[from]?.includes(to) || (dynamic && mayLoad[from]?.includes(to));
        return allowed ? [] : [`${file} imports ${target}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it("leave no room out of the table", () => {
    expect([...new Set(files.map(roomOf))].filter((room) => !(room in mayImport))).toEqual([]);
  });

  it("lead to files that are there", () => {
    const lost = [...imports].flatMap(([file, own]) =>
      own.flatMap(({ target }) => (texts.has(target) ? [] : [`${file} imports ${target}`])),
    );
    expect(lost).toEqual([]);
    expect(imports.get("main.ts")?.map(({ target }) => target)).toContain("student/role.ts");
  });
});

describe("imports, those of types included", () => {
  it("make no circle of files", () => {
    const arrows = new Map([...imports].map(([file, own]) => [file, own.map(({ target }) => target)]));
    expect(circles(arrows).map(String)).toEqual([]);
  });

  /**
   * The entries of a folder are its files and its subfolders, each subfolder with all below it as one thing. They are in
   * layers: no two subfolders need each other, and a file beside a subfolder is above it (a table that collects its
   * files) or below it (a type that they share), not both.
   */
  it("make no circle of a folder's entries", () => {
    const byFolder = new Map<string, Map<string, Set<string>>>();
    for (const [file, own] of imports) for (const { target } of own) addEntryArrow(byFolder, file, target);
    const found = [...byFolder].flatMap(([folder, arrows]) => circles(arrows).map((circle) => `${folder}: ${circle.join(", ")}`));
    expect(found).toEqual([]);
  });
});

/** Notes for the innermost folder that holds both files which of its entries needs which. */
function addEntryArrow(byFolder: Map<string, Map<string, Set<string>>>, file: string, target: string): void {
  let folder = dirname(file);
  while (folder !== "." && !target.startsWith(`${folder}/`)) folder = dirname(folder);
  const [from = "", to = ""] = [file, target].map((path) => relative(folder, path).split("/")[0]);
  if (from === to) return;
  const arrows = byFolder.get(folder) ?? new Map<string, Set<string>>();
  byFolder.set(folder, arrows.set(from, (arrows.get(from) ?? new Set()).add(to)));
}

describe("files", () => {
  it("have at most 400 lines, the generated ones excepted", () => {
    const own = ["services", "test", "deploy"].flatMap((folder) =>
      sourcesOf(folder, [".ts", ".tsx", ".mjs"]).map((file) => ({
        path: `${folder}/${file}`,
        lines: textOf(folder, file).split("\n").length - 1,
      })),
    );
    const long = own.filter(({ path, lines }) => lines > 400 && !path.startsWith("services/shared/gen/"));
    expect(long.map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
  });

  it("of shared/ say of each export what it is", () => {
    const silent = written.flatMap(([file, text]) =>
      file.startsWith("shared/") ? undocumented(text).flatMap((name) => (isOperator(file, text, name) ? [] : [`${file}: ${name}`])) : [],
    );
    expect(silent).toEqual([]);
  });

  it(`assert at most ${mostAssertions} times that something is there`, () => {
    const count = written.reduce((sum, [, text]) => sum + assertions(text), 0);
    expect(count).toBeLessThanOrEqual(mostAssertions);
  });
});

/** One-line operators (export const exp = …) are named as in the ONNX specification, which documents them. */
const isOperator = (file: string, text: string, name: string): boolean =>
  file.startsWith("shared/ml/graph/ops/") && new RegExp(`^export const ${name} = .*;$`, "m").test(text);
