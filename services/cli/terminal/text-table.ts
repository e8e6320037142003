import cliTruncate from "cli-truncate";
import stringWidth from "string-width";
import { columnsOf, type Out, styleFor } from "./style.js";

/** A column of a table. */
export interface Column {
  readonly name: string;
  /** Numbers stand to the right. Default: left. */
  readonly align?: "left" | "right";
  /** Which part of a text goes where there is no room: of a path, its start. Default: its end. */
  readonly cut?: "start" | "end";
  /** Columns of a lower rank lose room first; of equal ranks, the last. Default: 1. */
  readonly rank?: number;
}

const gap = "  ";
/** What a column keeps while others of its rank have more, and at last. */
const floors = [12, 4];

/** A table as text that is as wide as its terminal at most: the columns that matter least are cut, and no line wraps. Elsewhere nothing is cut. */
export function textTable(head: readonly (string | Column)[], rows: readonly (readonly string[])[], out: Out): string {
  const columns = head.map((column) => (typeof column === "string" ? { name: column } : column));
  const lines = [columns.map(({ name }) => name), ...rows].map((row) => row.map(oneLine));
  const wanted = columns.map((_, i) => lines.reduce((widest, row) => Math.max(widest, stringWidth(row[i] ?? "")), 0));
  const widths = fitted(columns, wanted, columnsOf(out) - gap.length * (columns.length - 1));
  const shown = lines.map((row) =>
    columns
      .map((column, i) => cell(row[i] ?? "", widths[i] ?? 0, column))
      .join(gap)
      .trimEnd(),
  );
  const [first = "", ...more] = shown;
  return [styleFor(out).bold(first), ...more].join("\n");
}

/** A cell is a line: what would break it, or steer the terminal, is a space. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const oneLine = (text: string): string => text.replace(/[\u0000-\u001a\u001c-\u001f\u007f]+/g, " ");

function fitted(columns: readonly Column[], wanted: readonly number[], room: number): number[] {
  const widths = [...wanted];
  const order = columns.map(({ rank = 1 }, i) => ({ rank, i })).sort((a, b) => a.rank - b.rank || b.i - a.i);
  const ranks = [...new Set(order.map(({ rank }) => rank))];
  for (const [least, floor] of ranks.flatMap((rank) => floors.map((floor) => [rank, floor] as const)))
    for (const { rank, i } of order) {
      if (rank !== least) continue;
      const excess = widths.reduce((sum, width) => sum + width, 0) - room;
      const own = widths[i] ?? 0;
      if (excess > 0) widths[i] = Math.max(Math.min(own, floor), own - excess);
    }
  return widths;
}

function cell(text: string, width: number, { align = "left", cut = "end" }: Column): string {
  const short = cliTruncate(text, width, { position: cut });
  const space = " ".repeat(Math.max(0, width - stringWidth(short)));
  return align === "right" ? space + short : short + space;
}
