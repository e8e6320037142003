import type { Keywords, Value } from "../values/value.js";

/** A method of a value. */
export type Method = (self: Value, args: readonly Value[], keywords: Keywords) => Value;

/** Methods by name: `changes` would change the value, which the sandbox forbids; `lacks` exists in Python and not here. */
export type Methods = Readonly<Record<string, Method | "changes" | "lacks">>;
