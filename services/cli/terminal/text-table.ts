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
  /** It goes as a whole where there's no room for it: half a number is another number. Those of the lowest rank go first, of these the last. */
  readonly whole?: true;
}

const gap = "  ";
/** What a column keeps while others of its rank have more, and at last. */
const floors = [12, 4];
/** What is left to a text before a column goes for it. */
const readable = 28;

/** A table as text that is as wide as its terminal at most: the columns that matter least are cut, or go, and no line wraps. Elsewhere nothing is cut. */
export function textTable(head: readonly (string | Column)[], rows: readonly (readonly string[])[], out: Out): string {
  const all = head.map((column): Column => (typeof column === "string" ? { name: column } : column));
  const cells = [all.map(({ name }) => name), ...rows].map((row) => row.map(oneLine));
  const wishes = all.map((_, i) => cells.reduce((widest, row) => Math.max(widest, stringWidth(row[i] ?? "")), 0));
  const shownColumns = chosen(all, wishes, columnsOf(out));
  const columns = shownColumns.flatMap((i) => all[i] ?? []);
  const lines = cells.map((row) => shownColumns.map((i) => row[i] ?? ""));
  const wanted = shownColumns.map((i) => wishes[i] ?? 0);
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

/** The columns that are shown, by their places: those that can't be cut go where the others would be cut beyond reading. */
function chosen(columns: readonly Column[], wanted: readonly number[], room: number): number[] {
  const shown = new Set(columns.keys());
  const needed = () => [...shown].reduce((sum, i) => sum + gap.length + neededBy(columns[i], wanted[i]), -gap.length);
  for (const { i, whole } of byRank(columns)) if (whole && needed() > room) shown.delete(i);
  return [...shown];
}

const neededBy = (column: Column | undefined, wanted = 0): number => (column?.whole ? wanted : Math.min(wanted, readable));

/** Columns with their places, what matters least first. */
const byRank = (columns: readonly Column[]) =>
  columns.map(({ rank = 1, whole }, i) => ({ rank, whole, i })).sort((a, b) => a.rank - b.rank || b.i - a.i);

function fitted(columns: readonly Column[], wanted: readonly number[], room: number): number[] {
  const widths = [...wanted];
  const order = byRank(columns);
  // Where not even those have room that are to be whole, they are cut last.
  const classes = [undefined, true].flatMap((whole) => [...new Set(order.map(({ rank }) => rank))].map((rank) => ({ rank, whole })));
  for (const { rank, whole, floor } of classes.flatMap((one) => floors.map((floor) => ({ ...one, floor }))))
    for (const { i } of order.filter((one) => one.rank === rank && one.whole === whole)) {
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
