import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout, seen from dist/test/support/tools. */
const checkout = fileURLToPath(new URL("../../../../", import.meta.url));

/** The program's files below a folder of the checkout, as paths in that folder; declarations of other's types are left out. */
export const sourcesOf = (folder: string, endings: readonly string[] = [".ts"]): string[] =>
  (readdirSync(join(checkout, folder), { recursive: true }) as string[]).filter(
    (name) => endings.some((ending) => name.endsWith(ending)) && !name.endsWith(".d.ts"),
  );

/** The text of a file below a folder of the checkout. */
export const textOf = (folder: string, file: string): string => readFileSync(join(checkout, folder, file), "utf8");

/** One import of another file of ours. */
export interface Import {
  /** The imported file, as a path in the same folder as the importing one. */
  readonly target: string;
  /** Loaded by `import()` when it is needed. */
  readonly dynamic: boolean;
}

/** What a file imports of ours, types included: by `import`, `export … from` and `import()`. */
export function importsIn(text: string, file: string): Import[] {
  const found = (pattern: RegExp, dynamic: boolean) =>
    [...text.matchAll(pattern)].map(([, path]) => ({ target: relative(".", join(dirname(file), `${path}.ts`)), dynamic }));
  return [...found(/^(?:import|export) (?:[^;"]*? from )?"(\.[^"]+)\.js";/gm, false), ...found(/\bimport\(\s*"(\.[^"]+)\.js"\s*\)/g, true)];
}

/** The circles of a graph: each a set of nodes of which every one leads to every other (Tarjan). */
export function circles(arrows: ReadonlyMap<string, Iterable<string>>): string[][] {
  const [order, low, open, found] = [new Map<string, number>(), new Map<string, number>(), [] as string[], [] as string[][]];
  const visit = (node: string): number => {
    order.set(node, order.size);
    low.set(node, order.size - 1);
    open.push(node);
    for (const next of arrows.get(node) ?? []) {
      if (!order.has(next)) low.set(node, Math.min(low.get(node)!, visit(next)));
      else if (open.includes(next)) low.set(node, Math.min(low.get(node)!, order.get(next)!));
    }
    if (low.get(node) === order.get(node)) {
      const circle = open.splice(open.indexOf(node));
      if (circle.length > 1) found.push(circle.sort());
    }
    return low.get(node)!;
  };
  for (const node of arrows.keys()) if (!order.has(node)) visit(node);
  return found.sort();
}

/**
 * Names of what a file exports (functions, classes, interfaces, types, constants) without a doc comment above it.
 * Of an overloaded function the first signature has it.
 */
export function undocumented(text: string): string[] {
  const lines = text.split("\n");
  const seen = new Set<string>();
  return lines.flatMap((line, i) => {
    const name = /^export (?:default |declare |async |abstract )*(?:function\*?|class|interface|type|const|let|enum) (\w+)/.exec(line)?.[1];
    if (!name || seen.has(name)) return [];
    seen.add(name);
    let above = i - 1;
    while (lines[above]?.startsWith("// biome-ignore")) above--;
    return lines[above]?.trimEnd().endsWith("*/") ? [] : [name];
  });
}

/** A text without its comments, and without what its strings say; what a template string computes stays. */
function codeOf(text: string): string {
  const parts = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;
  return text.replace(parts, (part) =>
    part.startsWith("`") ? `(${[...part.matchAll(/\$\{([^}]*)\}/g)].map(([, inner]) => inner).join(";")})` : '""',
  );
}

/** How often a text asserts with `!` that something is there; `list[i]!` is not counted, since an index says no more. */
export const assertions = (text: string): number => [...codeOf(text).matchAll(/[\w$)>]!(?![=:\w])/g)].length;
