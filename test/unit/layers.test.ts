import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout's services folder, seen from dist/test/unit. */
const root = fileURLToPath(new URL("../../../services/", import.meta.url));

const roles = ["student", "teacher", "reward", "learner", "controller"];

/** What every role may import. */
const shared = ["shared/gen", "shared/base", "shared/ml", "shared/flow", "shared/codec", "shared/tasks"];

/** What each room may import besides itself: the table of services/README.md. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  "shared/gen": [],
  "shared/base": ["shared/gen"],
  "shared/ml": ["shared/base"],
  "shared/flow": ["shared/gen", "shared/base"],
  "shared/codec": ["shared/gen", "shared/base", "shared/ml", "shared/flow"],
  "shared/tasks": ["shared/base", "shared/ml"],
  ...Object.fromEntries(roles.map((role) => [role, shared])),
  cli: shared,
  "cli.ts": ["cli", ...shared],
  "main.ts": [...shared, ...roles],
};

const files = (readdirSync(root, { recursive: true }) as string[]).filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"));

function roomOf(file: string): string {
  const [first, second] = file.split("/");
  return first === "shared" ? `shared/${second}` : first!;
}

/** Files of ours that a file imports; type-only imports count for the arrows, not for cycles. */
function importsOf(file: string): { readonly target: string; readonly typeOnly: boolean }[] {
  const text = readFileSync(join(root, file), "utf8");
  const written = [...text.matchAll(/^(?:import|export) (type )?[^;]*?from "(\.[^"]+)\.js";/gms)];
  const dynamic = [...text.matchAll(/()import\("(\.[^"]+)\.js"\)/g)];
  return [...written, ...dynamic].map(([, type, path]) => ({
    target: relative(root, join(root, dirname(file), `${path}.ts`)),
    typeOnly: type === "type ",
  }));
}

describe("the arrows between folders", () => {
  it("are those of services/README.md", () => {
    const wrong = files.flatMap((file) =>
      importsOf(file).flatMap(({ target }) => {
        const [from, to] = [roomOf(file), roomOf(target)];
        return from === to || mayImport[from]?.includes(to) ? [] : [`${file} imports ${target}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it("leave no room out of the table", () => {
    expect([...new Set(files.map(roomOf))].filter((room) => !(room in mayImport))).toEqual([]);
  });

  it("see every import of a file", () => {
    expect(importsOf("main.ts").map(({ target }) => target)).toContain("student/role.ts");
  });
});

describe("imports", () => {
  it("have no cycles", () => {
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      if (done.has(file) || path.includes(file)) return;
      for (const { target, typeOnly } of importsOf(file)) if (!typeOnly) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });
});

describe("files", () => {
  it("have at most 400 lines, the generated ones excepted", () => {
    const long = files.filter((file) => !file.startsWith("shared/gen/") && readFileSync(join(root, file), "utf8").split("\n").length > 401);
    expect(long).toEqual([]);
  });

  it("of shared/ say what each export is", () => {
    // One-line operators (export const exp = …) are named as in the ONNX specification, which documents them; index files hold no code.
    const silent = files
      .filter((file) => file.startsWith("shared/") && !file.startsWith("shared/gen/"))
      .flatMap((file) => undocumented(file).map((name) => `${file}: ${name}`));
    expect(silent).toEqual([]);
  });
});

/** Exported functions and classes without a doc comment above them. */
function undocumented(file: string): string[] {
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  return lines.flatMap((line, i) => {
    const name = /^export (?:async )?(?:abstract )?(?:function\*?|class) (\w+)/.exec(line)?.[1];
    if (!name || file.startsWith("shared/ml/graph/ops/")) return [];
    return lines[i - 1]?.trimEnd().endsWith("*/") ? [] : [name];
  });
}
