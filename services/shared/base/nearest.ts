/**
 * The word that a mistyped one was probably meant to be: the nearest by edits, if it is within a third of its length (two at
 * most), in whatever case.
 *
 * @returns undefined if none is near
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  // Longer than any name of ours: comparing would cost, and find nothing.
  if (word.length > 64) return undefined;
  const ranked = known.map((name) => ({ name, edits: editsBetween(word.toLowerCase(), name.toLowerCase()) }));
  const [best] = ranked.sort((a, b) => a.edits - b.edits);
  return best && best.edits <= Math.min(2, Math.floor(best.name.length / 3)) ? best.name : undefined;
}

/**
 * Edits that turn one word into another: a letter added, dropped, changed, or swapped with its neighbour. The optimal string
 * alignment distance (Damerau 1964).
 */
export function editsBetween(from: string, to: string): number {
  let before: number[] = [];
  let above = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const here = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      const ways = [at(above, column) + 1, at(here, column - 1) + 1, at(above, column - 1) + (same ? 0 : 1)];
      if (swapped) ways.push(at(before, column - 2) + 1);
      here.push(Math.min(...ways));
    }
    [before, above] = [above, here];
  }
  return at(above, to.length);
}

/** The distance of a column, which is there. */
const at = (row: readonly number[], column: number): number => row[column] ?? Number.POSITIVE_INFINITY;
