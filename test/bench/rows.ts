/** Rows of the README's table: a bench adds them, `npm run bench -- --markdown` prints them. */
import { appendFileSync } from "node:fs";

/** One piece of work by Retort, and by the best peer in the same run. */
export interface Row {
  readonly work: string;
  readonly ours: string;
  readonly peer?: string;
  /** How many times as fast as the peer. */
  readonly ratio?: number;
  /** Bytes. */
  readonly oursRss?: number | undefined;
  readonly peerRss?: number | undefined;
}

/** Bytes in MiB or GiB; "?" where nothing is known. */
export const size = (bytes: number | undefined): string => {
  if (bytes === undefined || Number.isNaN(bytes)) return "?";
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(0)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
};

/** Adds a row to the table of this run, where one is asked for. */
export function addRow(row: Row): void {
  const path = process.env.RETORT_BENCH_ROWS;
  if (path) appendFileSync(path, `${JSON.stringify(row)}\n`);
}

/** The table in Markdown, of the rows as lines of JSON. */
export function markdownOf(lines: string): string {
  const rows = lines
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
  const cells = rows.map(({ work, ours, peer, ratio, oursRss, peerRss }) => [
    work,
    ours,
    peer ?? "",
    ratio === undefined ? "" : `${ratio.toFixed(2)}x`,
    oursRss === undefined ? "" : size(oursRss),
    peerRss === undefined ? "" : size(peerRss),
  ]);
  const table = [["work", "Retort", "peer", "ratio", "peak RSS of Retort", "of the peer"], ...cells];
  return markdownTable(table);
}

/** A table in Markdown. @param table its head, and rows as long as that */
export function markdownTable(table: readonly (readonly string[])[]): string {
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  const line = (parts: readonly string[]) => `| ${parts.map((part, column) => part.padEnd(widths[column]!)).join(" | ")} |`;
  const [head, ...body] = table.map(line);
  return [head, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body].join("\n");
}
