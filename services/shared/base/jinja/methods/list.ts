import { raise } from "../fault.js";
import { equal } from "../values/compare.js";
import { listOf } from "../values/iterate.js";
import { repr } from "../values/repr.js";
import { bind, required } from "../values/signature.js";
import type { Value } from "../values/value.js";
import type { Method, Methods } from "./method.js";

const same = (item: Value, value: Value) => item === value || equal(item, value);

const count: Method = (self, args, keywords) => {
  const [value] = bind({ name: "count", parameters: ["value"], required: 1, byName: false }, args, keywords);
  const wanted = required(value);
  return BigInt(listOf(self).filter((item) => same(item, wanted)).length);
};

const index: Method = (self, args, keywords) => {
  const [value, start, stop] = bind({ name: "index", parameters: ["value", "start", "stop"], required: 1, byName: false }, args, keywords);
  const items = listOf(self);
  const wanted = required(value);
  const place = (bound: Value | undefined, otherwise: number) => {
    if (bound === undefined) return otherwise;
    if (typeof bound !== "bigint") return raise("TypeError", "slice indices must be integers");
    return Math.max(0, Number(bound < 0n ? bound + BigInt(items.length) : bound));
  };
  for (let at = place(start, 0); at < Math.min(items.length, place(stop, items.length)); at++)
    if (same(items[at]!, wanted)) return BigInt(at);
  return raise("ValueError", `${repr(wanted)} is not in list`);
};

const copy: Method = (self, args, keywords) => {
  bind({ name: "copy", parameters: [], required: 0, byName: false }, args, keywords);
  return [...(self as Value[])];
};

/** Methods of lists. */
export const listMethods: Methods = {
  append: "changes",
  clear: "changes",
  copy,
  count,
  extend: "changes",
  index,
  insert: "changes",
  pop: "changes",
  remove: "changes",
  reverse: "changes",
  sort: "changes",
};

/** Methods of tuples. */
export const tupleMethods: Methods = { count, index };

/** Methods of ranges. */
export const rangeMethods: Methods = { count, index };

/** Methods of a dict's views. */
export const viewMethods: Methods = { isdisjoint: "lacks", mapping: "lacks" };
