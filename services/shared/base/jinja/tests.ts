import { bind, required } from "./arguments.js";
import { comparisons, contains } from "./arithmetic.js";
import { TemplateFailure } from "./failure.js";
import { type Arguments, Callable, equal, isNumber, Markup, toInteger, Undefined, unbool, View } from "./values.js";

/** What stands behind `is`. */
export type Test = (value: unknown, args: Arguments) => boolean;

const alone =
  (name: string, test: (value: unknown) => boolean): Test =>
  (value, args) => {
    bind(name, args, []);
    return test(value);
  };

const against =
  (name: string, test: (value: unknown, other: unknown) => boolean): Test =>
  (value, args) =>
    test(value, required(name, bind(name, args, ["other"]), "other"));

const eq = against("eq", equal);
const ne = against("ne", (a, b) => !equal(a, b));
const lt = against("lt", comparisons["<"]!);
const le = against("le", comparisons["<="]!);
const gt = against("gt", comparisons[">"]!);
const ge = against("ge", comparisons[">="]!);

/** Whether a text has cased letters and all of them are in one case. */
const cased = (value: unknown, change: (text: string) => string): boolean => {
  const text = String(value);
  return text.toLowerCase() !== text.toUpperCase() && text === change(text);
};

function remainder(value: unknown, by: number): bigint {
  if (value instanceof Undefined) value.fail();
  if (typeof value !== "bigint" && typeof value !== "boolean") throw new TemplateFailure("an int is expected before this test");
  return BigInt(value) % BigInt(by);
}

const isIterable = (value: unknown): boolean =>
  typeof value === "string" || Array.isArray(value) || value instanceof Map || value instanceof Undefined;

const notWritten =
  (name: string): Test =>
  () => {
    throw new TemplateFailure(`the test ${name} is not supported in templates here`);
  };

/** The tests of Jinja2. */
export const tests: Readonly<Record<string, Test>> = {
  "!=": ne,
  "<": lt,
  "<=": le,
  "==": eq,
  ">": gt,
  ">=": ge,
  boolean: alone("boolean", (value) => typeof value === "boolean"),
  callable: alone("callable", (value) => value instanceof Callable),
  defined: alone("defined", (value) => !(value instanceof Undefined)),
  divisibleby: (value, args) => {
    const by = toInteger(required("divisibleby", bind("divisibleby", args, ["num"]), "num"), "num");
    if (by === 0) throw new TemplateFailure("integer modulo by zero");
    return remainder(value, by) === 0n;
  },
  eq,
  equalto: eq,
  escaped: alone("escaped", (value) => value instanceof Markup),
  even: alone("even", (value) => remainder(value, 2) === 0n),
  false: alone("false", (value) => value === false),
  filter: notWritten("filter"),
  float: alone("float", (value) => typeof value === "number"),
  ge,
  greaterthan: gt,
  gt,
  in: against("in", contains),
  integer: alone("integer", (value) => typeof value === "bigint"),
  iterable: alone("iterable", isIterable),
  le,
  lessthan: lt,
  lower: alone("lower", (value) => cased(value, (text) => text.toLowerCase())),
  lt,
  mapping: alone("mapping", (value) => value instanceof Map),
  ne,
  none: alone("none", (value) => value === null),
  number: alone("number", isNumber),
  odd: alone("odd", (value) => remainder(value, 2) !== 0n),
  sameas: against("sameas", (a, b) => (isNumber(a) && isNumber(b) ? typeof a === typeof b && unbool(a) === unbool(b) : a === b)),
  sequence: alone("sequence", (value) => isIterable(value) && !(value instanceof View)),
  string: alone("string", (value) => typeof value === "string" || value instanceof Markup),
  test: notWritten("test"),
  true: alone("true", (value) => value === true),
  undefined: alone("undefined", (value) => value instanceof Undefined),
  upper: alone("upper", (value) => cased(value, (text) => text.toUpperCase())),
};
