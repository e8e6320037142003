/** A record with the further ones that are worked on together with it. */
type Grouped<T> = T & { readonly together: readonly T[] };

/** The records of a message: the first, and those that came together with it. */
export const membersOf = <T>(first: Grouped<T>): readonly [T, ...T[]] => [first, ...first.together];

/** Part of a message that records may take together. */
const groupShare = 0.5;

/** Bytes that records may take together in a message of a server that takes so many. */
export const mostBytesTogether = (maxPayload = Number.POSITIVE_INFINITY): number => groupShare * maxPayload;

/**
 * Items in their order, in groups whose sizes add up to no more than `most`; a larger item stands alone.
 *
 * @param sizesOf an item's sizes, each with a limit of its own
 */
export function groupsWithin<T>(items: readonly T[], sizesOf: (item: T) => readonly number[], most: readonly number[]): [T, ...T[]][] {
  const groups: [T, ...T[]][] = [];
  let sums: readonly number[] = [];
  for (const item of items) {
    const sizes = sizesOf(item);
    const wider = sizes.map((size, i) => size + (sums[i] ?? 0));
    const last = groups.at(-1);
    if (last && wider.every((sum, i) => sum <= most[i]!)) {
      last.push(item);
      sums = wider;
    } else {
      groups.push([item]);
      sums = sizes;
    }
  }
  return groups;
}
