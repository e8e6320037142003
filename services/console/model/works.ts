import { Work } from "../../shared/gen/retort/v1/events_pb.js";

/** What a process is at, as a word. */
export const workWord = (work: Work): string => (Work[work] ?? "unknown").toLowerCase();

/** The kinds of work, in the order of the legend. */
export const works: readonly Work[] = [
  Work.WAITING,
  Work.LOADING,
  Work.SAMPLING,
  Work.SCORING,
  Work.REWARDING,
  Work.TRAINING,
  Work.PUBLISHING,
  Work.EVALUATING,
  Work.CHECKPOINTING,
];

/** A stretch of time, with what is drawn for it. */
export interface Block {
  readonly work: Work;
  readonly from: number;
  readonly to: number;
  readonly message: string;
}

/**
 * Spans as blocks of a window of time: cut at its edges, and those too short to be seen joined with their like.
 *
 * @param shortest seconds below which a block can't be seen
 */
export function blocks(
  spans: readonly { readonly work: Work; readonly from: number; readonly to: number | undefined; readonly message: string }[],
  [begin, end]: readonly [number, number],
  shortest: number,
): Block[] {
  const result: Block[] = [];
  for (const { work, from, to = end, message } of spans) {
    const block = { work, message, from: Math.max(from, begin), to: Math.min(to, end) };
    if (block.to <= block.from) continue;
    const last = result.at(-1);
    const short = block.to - block.from < shortest;
    if (last && short && (last.work === work || last.to - last.from < shortest) && block.from - last.to < shortest)
      result[result.length - 1] = { ...last, to: block.to };
    else result.push(block);
  }
  return result;
}
