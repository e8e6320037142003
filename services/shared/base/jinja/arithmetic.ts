import { TemplateFailure } from "./failure.js";
import { formatPercent } from "./formatting.js";
import { compare, equal, escaped, isNumber, iterate, keyOf, Markup, Tuple, tupleOf, typeName, Undefined, unbool } from "./values.js";

type Binary = (a: unknown, b: unknown) => unknown;

const longest = 64 * 1024 * 1024;

/** Numbers, or undefined; an int beside a float becomes a float. */
function numbers(a: unknown, b: unknown): [bigint, bigint] | [number, number] | undefined {
  if (!isNumber(a) || !isNumber(b)) return undefined;
  const [x, y] = [unbool(a), unbool(b)];
  return typeof x === "bigint" && typeof y === "bigint" ? [x, y] : [Number(x), Number(y)];
}

function unsupported(operator: string, a: unknown, b: unknown): never {
  for (const value of [a, b]) if (value instanceof Undefined) value.fail();
  throw new TemplateFailure(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`);
}

function repeated(value: string | readonly unknown[], times: unknown): unknown {
  const count = Math.max(0, Number(times));
  if (count * value.length > longest) throw new TemplateFailure(`a repetition of ${count} is too long`);
  if (typeof value === "string") return value.repeat(count);
  const items = Array.from({ length: count }, () => value).flat(1);
  return value instanceof Tuple ? tupleOf(...items) : items;
}

function divided(a: bigint | number, b: bigint | number): { quotient: bigint | number; rest: bigint | number } {
  if (Number(b) === 0) throw new TemplateFailure("division by zero");
  if (typeof a === "bigint" && typeof b === "bigint") {
    const [quotient, rest] = [a / b, a % b];
    return rest !== 0n && rest < 0n !== b < 0n ? { quotient: quotient - 1n, rest: rest + b } : { quotient, rest };
  }
  const [x, y] = [Number(a), Number(b)];
  const rest = x % y;
  const moved = rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
  return { quotient: Math.floor(x / y), rest: moved };
}

const isText = (value: unknown): value is string | Markup => typeof value === "string" || value instanceof Markup;

const isWhole = (value: unknown): boolean => typeof value === "bigint" || typeof value === "boolean";

/** Python's binary operators. */
export const binary: Readonly<Record<string, Binary>> = {
  "+": (a, b) => {
    const pair = numbers(a, b);
    if (pair) return (pair[0] as number) + (pair[1] as number);
    if (typeof a === "string" && typeof b === "string") return a + b;
    if (isText(a) && isText(b)) return new Markup(escaped(a) + escaped(b));
    if (a instanceof Tuple && b instanceof Tuple) return tupleOf(...a, ...b);
    if (typeName(a) === "list" && typeName(b) === "list") return [...(a as unknown[]), ...(b as unknown[])];
    if (typeof a === "string" && !(b instanceof Undefined))
      throw new TemplateFailure(`can only concatenate str (not "${typeName(b)}") to str`);
    return unsupported("+", a, b);
  },
  "-": (a, b) => {
    const pair = numbers(a, b);
    return pair ? (pair[0] as number) - (pair[1] as number) : unsupported("-", a, b);
  },
  "*": (a, b) => {
    const pair = numbers(a, b);
    if (pair) return (pair[0] as number) * (pair[1] as number);
    if ((typeof a === "string" || Array.isArray(a)) && isWhole(b)) return repeated(a, b);
    if ((typeof b === "string" || Array.isArray(b)) && isWhole(a)) return repeated(b, a);
    return unsupported("*", a, b);
  },
  "/": (a, b) => {
    const pair = numbers(a, b);
    if (!pair) return unsupported("/", a, b);
    if (Number(pair[1]) === 0) throw new TemplateFailure("division by zero");
    return Number(pair[0]) / Number(pair[1]);
  },
  "//": (a, b) => {
    const pair = numbers(a, b);
    return pair ? divided(pair[0], pair[1]).quotient : unsupported("//", a, b);
  },
  "%": (a, b) => {
    if (typeof a === "string") return formatPercent(a, b);
    const pair = numbers(a, b);
    return pair ? divided(pair[0], pair[1]).rest : unsupported("%", a, b);
  },
  "**": (a, b) => {
    const pair = numbers(a, b);
    if (!pair) return unsupported("** or pow()", a, b);
    const [x, y] = pair;
    if (typeof x === "bigint" && (y as bigint) >= 0n) {
      if (Number(y) * x.toString().length > 100_000) throw new TemplateFailure("a power is too large");
      return x ** (y as bigint);
    }
    if (Number(x) === 0 && y < 0) throw new TemplateFailure("0.0 cannot be raised to a negative power");
    return Number(x) ** Number(y);
  },
};

/** Python's comparisons. */
export const comparisons: Readonly<Record<string, (a: unknown, b: unknown) => boolean>> = {
  "==": equal,
  "!=": (a, b) => !equal(a, b),
  "<": (a, b) => compare(a, b) < 0,
  "<=": (a, b) => compare(a, b) <= 0,
  ">": (a, b) => compare(a, b) > 0,
  ">=": (a, b) => compare(a, b) >= 0,
  in: contains,
  notin: (a, b) => !contains(a, b),
};

/** Python's `item in container`. */
export function contains(item: unknown, container: unknown): boolean {
  if (typeof container === "string") {
    if (typeof item === "string") return container.includes(item);
    if (item instanceof Undefined) item.fail();
    throw new TemplateFailure(`'in <string>' requires string as left operand, not ${typeName(item)}`);
  }
  if (container instanceof Map) return container.has(keyOf(item));
  if (container !== null && !isNumber(container)) return iterate(container).some((one) => equal(one, item));
  throw new TemplateFailure(`argument of type '${typeName(container)}' is not iterable`);
}

/** Python's unary minus and plus. */
export function signed(value: unknown, negative: boolean): unknown {
  if (!isNumber(value)) {
    if (value instanceof Undefined) value.fail();
    throw new TemplateFailure(`bad operand type for unary ${negative ? "-" : "+"}: '${typeName(value)}'`);
  }
  const number = unbool(value);
  return negative ? -number : number;
}
