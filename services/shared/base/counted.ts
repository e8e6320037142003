/** The noun for a count: `call` for 1, else `calls`. @param many the plural, where it isn't the singular with an s */
export const nounFor = (count: number | bigint, one: string, many = `${one}s`): string => (BigInt(count) === 1n ? one : many);

/**
 * A count with what it counts: `1 call`, `2 calls`, `0 calls`.
 *
 * @param many as {@link nounFor}; both may go on with a verb
 * @example `${counted(calls, "call is", "calls are")} in progress`
 */
export const counted = (count: number | bigint, one: string, many?: string): string => `${count} ${nounFor(count, one, many)}`;
