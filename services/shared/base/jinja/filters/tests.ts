import { isOf } from "../methods/unicode.js";
import { binary } from "../operators/arithmetic.js";
import { compare, contains, equal } from "../values/compare.js";
import { Dict, DictView } from "../values/containers.js";
import { isIterable } from "../values/iterate.js";
import { Markup } from "../values/markup.js";
import { str } from "../values/repr.js";
import { bind, required } from "../values/signature.js";
import { isUndefined } from "../values/undefined.js";
import { type Keywords, PyObject, type Value } from "../values/value.js";

/** A test: what stands before `is`, and the arguments. */
export type Test = (value: Value, args: readonly Value[], keywords: Keywords) => boolean;

function test(parameters: readonly string[], run: (value: Value, args: readonly Value[]) => boolean): Test {
  const signature = { name: "test", parameters, required: parameters.length, byName: true };
  return (value, args, keywords) => run(value, bind(signature, args, keywords) as readonly Value[]);
}

const comparing = (operator: string) => test(["b"], (value, [other]) => compare(operator, value, required(other)));

/** Whether the remainder of a division is a certain one. */
function leaves(value: Value, divisor: Value, remainder: bigint): boolean {
  return equal(binary("%", value, divisor), remainder);
}

function isSequence(value: Value): boolean {
  if (typeof value === "string" || Array.isArray(value) || value instanceof Markup) return true;
  return value instanceof PyObject && value.length !== undefined && !(value instanceof DictView);
}

function isSame(value: Value, other: Value): boolean {
  return value === other;
}

const isText = (value: Value) => typeof value === "string" || value instanceof Markup;

/** Tests by name, without those that ask for filters and tests by name. */
export const tests: Readonly<Record<string, Test>> = {
  "!=": comparing("!="),
  "<": comparing("<"),
  "<=": comparing("<="),
  "==": comparing("=="),
  ">": comparing(">"),
  ">=": comparing(">="),
  boolean: test([], (value) => typeof value === "boolean"),
  callable: test([], (value) => value instanceof PyObject && value.call !== undefined),
  defined: test([], (value) => !isUndefined(value)),
  divisibleby: test(["num"], (value, [divisor]) => leaves(value, required(divisor), 0n)),
  eq: comparing("=="),
  equalto: comparing("=="),
  escaped: test([], (value) => value instanceof Markup),
  even: test([], (value) => leaves(value, 2n, 0n)),
  false: test([], (value) => value === false),
  float: test([], (value) => typeof value === "number"),
  ge: comparing(">="),
  greaterthan: comparing(">"),
  gt: comparing(">"),
  in: test(["seq"], (value, [items]) => contains(required(items), value)),
  integer: test([], (value) => typeof value === "bigint"),
  iterable: test([], (value) => isIterable(value)),
  le: comparing("<="),
  lessthan: comparing("<"),
  lower: test([], (value) => isOf("islower", str(value))),
  lt: comparing("<"),
  mapping: test([], (value) => value instanceof Dict),
  ne: comparing("!="),
  none: test([], (value) => value === null),
  number: test([], (value) => ["bigint", "boolean", "number"].includes(typeof value)),
  odd: test([], (value) => leaves(value, 2n, 1n)),
  sameas: test(["other"], (value, [other]) => isSame(value, required(other))),
  sequence: test([], isSequence),
  string: test([], isText),
  true: test([], (value) => value === true),
  undefined: test([], isUndefined),
  upper: test([], (value) => isOf("isupper", str(value))),
};
