/** An object without its entries that are undefined, for records that JSON and comparisons shall not show them in. */
export const defined = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
