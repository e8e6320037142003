import type { Arguments } from "./values.js";

/** What stands behind `|`: a value, and what the filter is called with. */
export type Filter = (value: unknown, args: Arguments) => unknown;
