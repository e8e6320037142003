import { headParts, type TeacherHead } from "../models/model.js";
import type { HeadShape } from "../signals/form.js";

/** Elements of one [rows, V] array above which the vocabulary loss goes block by block. */
const mostElements = 1 << 23;
/** Fewer rows per block would starve the matrix products. */
const minimumBlock = 64;

/** Blocks hold the head's gradient twice: so many [rows, V] arrays take as much where there's a row to so many of its columns. */
const columnsPerRow = 4;

/** Rows per block, so that blocks are alike; 0 where all rows are one. */
export function blockRowsFor(rows: number, vocab: number, width: number): number {
  const blocks = Math.ceil((rows * vocab) / mostElements);
  return blocks === 1 || rows * columnsPerRow <= width ? 0 : Math.max(minimumBlock, Math.ceil(rows / blocks));
}

/** What a step's graph knows of a teacher's head. One head takes all of the states, whatever their width: teachers of other widths have the same graph. */
export function headShapes(head: TeacherHead): HeadShape[] {
  const parts = headParts(head);
  return parts.map(({ head: { softCap, dims }, share }) => ({ softCap, share, width: parts.length > 1 ? dims[1] : undefined }));
}
