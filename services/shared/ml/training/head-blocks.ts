import { headParts, type TeacherHead } from "../models/model.js";
import type { HeadShape } from "../signals/form.js";

/** Elements of one [rows, V] array above which the vocabulary loss goes block by block; with slices, which hold two of them and not eight. */
const mostElements = 1 << 23;
const mostSlicedElements = 1 << 25;
/** Elements of a slice's [rows, V] arrays: what two threads have of a few of them stays in their cores' caches. */
const sliceElements = 1 << 19;
/** Fewer rows per block would starve the matrix products. */
const minimumBlock = 64;

/** Blocks hold the head's gradient twice: so many [rows, V] arrays take as much where there's a row to so many of its columns. */
const columnsPerRow = 4;

/** Rows per slice, a power of two; 0 where all are one. */
export function sliceRowsFor(rows: number, vocab: number): number {
  if (rows * vocab <= sliceElements) return 0;
  return 2 ** Math.max(0, Math.floor(Math.log2(sliceElements / vocab)));
}

/** Rows per block, so that blocks are alike; 0 where all rows are one. @param sliceRows rows per slice, which divide a block; 0: none */
export function blockRowsFor(rows: number, vocab: number, width: number, sliceRows = 0): number {
  const blocks = Math.ceil((rows * vocab) / (sliceRows ? mostSlicedElements : mostElements));
  if (blocks === 1 || rows * columnsPerRow <= width) return 0;
  const size = Math.max(minimumBlock, Math.ceil(rows / blocks));
  return sliceRows ? Math.ceil(size / sliceRows) * sliceRows : size;
}

/** What a step's graph knows of a teacher's head. One head takes all of the states, whatever their width: teachers of other widths have the same graph. */
export function headShapes(head: TeacherHead): HeadShape[] {
  const parts = headParts(head);
  return parts.map(({ head: { softCap, dims }, share }) => ({ softCap, share, width: parts.length > 1 ? dims[1] : undefined }));
}
