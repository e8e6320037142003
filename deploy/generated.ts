import { existsSync, readFileSync, writeFileSync } from "node:fs";

/**
 * Writes a generated file; with `--check` on the command line it compares instead, and ends the program with 1 if the file is another.
 *
 * @param source what it is made of, in words: "the protos"
 */
export function keepGenerated(path: string, text: string, source: string): void {
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
    console.error(`${path} is not what ${source} say; run npm run gen`);
    process.exitCode = 1;
  }
}

/** A table in Markdown, without the padding that would make every line as wide as the widest. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
