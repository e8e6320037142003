import Table from "cli-table3";

/** A table as text; in colour only on a terminal. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[], out: { readonly isTTY?: boolean }): string {
  const style = out.isTTY ? { head: ["bold"], border: ["dim"] } : { head: [], border: [] };
  const table = new Table({ head: [...head], style });
  for (const row of rows) table.push([...row]);
  return table.toString();
}
