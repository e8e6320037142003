import { bind, required } from "./arguments.js";
import { binary } from "./arithmetic.js";
import { TemplateFailure } from "./failure.js";
import type { Filter } from "./filter.js";
import { itemOf, methodOf } from "./members.js";
import { repr, str } from "./spelling.js";
import { type Test, tests } from "./tests.js";
import { type Arguments, compare, equal, iterate, keyOf, Tuple, toInteger, toText, truth, tupleOf, typeName, Undefined } from "./values.js";

/** A value's part by a dotted name, whose whole numbers are positions. */
export function partOf(value: unknown, attribute: unknown, fallback?: unknown): unknown {
  if (attribute === undefined || attribute === null) return value;
  const names = typeof attribute === "bigint" ? [attribute] : toText(attribute, "attribute").split(".");
  let found = value;
  for (const name of names) {
    found = itemOf(found, typeof name === "string" && /^\d+$/.test(name) ? BigInt(name) : name);
    if (fallback !== undefined && found instanceof Undefined) found = fallback;
  }
  return found;
}

/** A value as sorting and comparing take it: without case, unless asked for. */
const folded = (value: unknown, caseSensitive: boolean): unknown =>
  typeof value === "string" && !caseSensitive ? value.toLowerCase() : value;

/** Puts items in order by keys, equal ones as they were. */
function sorted<T>(items: readonly T[], key: (item: T) => unknown, reverse: boolean): T[] {
  const keyed = items.map((item) => [key(item), item] as const);
  keyed.sort(([a], [b]) => (reverse ? compare(b, a) : compare(a, b)));
  return keyed.map(([, item]) => item);
}

const flag = (value: unknown): boolean => value !== undefined && truth(value);

/** A test by its name and the arguments behind it; without one, truth. */
function chosen(what: string, { list, named }: Arguments): (value: unknown) => boolean {
  const [name, ...rest] = list;
  if (name === undefined) return truth;
  const test: Test | undefined = Object.hasOwn(tests, String(name)) ? tests[String(name)] : undefined;
  if (!test) throw new TemplateFailure(`No test named '${String(name)}' (in ${what})`);
  return (value) => test(value, { list: rest, named });
}

function selecting(what: string, wanted: boolean, byAttribute: boolean): Filter {
  return (value, args) => {
    const [attribute, ...rest] = args.list;
    if (byAttribute && attribute === undefined) throw new TemplateFailure(`${what} needs the name of an attribute`);
    const test = chosen(what, byAttribute ? { list: rest, named: args.named } : args);
    // Nothing, of whatever type, has no items.
    return (truth(value) ? iterate(value) : []).filter((item) => test(byAttribute ? partOf(item, attribute) : item) === wanted);
  };
}

function extreme(what: string, larger: boolean): Filter {
  return (value, args) => {
    const { case_sensitive, attribute } = bind(what, args, ["case_sensitive", "attribute"]);
    const items = iterate(value);
    if (items.length === 0) return new Undefined("No aggregated item, sequence was empty.");
    const key = (item: unknown) => folded(partOf(item, attribute), flag(case_sensitive));
    return items.reduce((best, item) => ((larger ? compare(key(item), key(best)) : compare(key(best), key(item))) > 0 ? item : best));
  };
}

function groupBy(value: unknown, args: Arguments): unknown {
  const bound = bind("groupby", args, ["attribute", "default", "case_sensitive"]);
  const attribute = required("groupby", bound, "attribute");
  const key = (item: unknown) => folded(partOf(item, attribute, bound.default), flag(bound.case_sensitive));
  const groups: { readonly key: unknown; readonly list: unknown[] }[] = [];
  for (const item of sorted(iterate(value), key, false)) {
    const last = groups.at(-1);
    if (last && equal(last.key, key(item))) last.list.push(item);
    else groups.push({ key: key(item), list: [item] });
  }
  return groups.map(({ list }) => {
    const grouper = partOf(list[0], attribute, bound.default);
    return Object.assign(tupleOf(grouper, list), { grouper, list });
  });
}

function batch(value: unknown, args: Arguments): unknown {
  const bound = bind("batch", args, ["linecount", "fill_with"]);
  const size = toInteger(required("batch", bound, "linecount"), "linecount");
  if (size < 1) throw new TemplateFailure("a batch needs at least one item");
  const items = iterate(value);
  const batches = Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
  const { fill_with: fill = null } = bound;
  const last = batches.at(-1);
  if (last && fill !== null) batches[batches.length - 1] = [...last, ...Array.from({ length: size - last.length }, () => fill)];
  return batches;
}

function slice(value: unknown, args: Arguments): unknown {
  const bound = bind("slice", args, ["slices", "fill_with"]);
  const count = toInteger(required("slice", bound, "slices"), "slices");
  if (count < 1) throw new TemplateFailure("a value is cut into at least one slice");
  const items = iterate(value);
  const [size, longer] = [Math.floor(items.length / count), items.length % count];
  const { fill_with: fill = null } = bound;
  return Array.from({ length: count }, (_, i) => {
    const from = i * size + Math.min(i, longer);
    const own = items.slice(from, from + size + (i < longer ? 1 : 0));
    return fill !== null && i >= longer ? [...own, fill] : own;
  });
}

function lengthOf(value: unknown): bigint {
  if (typeof value === "string") return BigInt([...value].length);
  if (Array.isArray(value)) return BigInt(value.length);
  if (value instanceof Map) return BigInt(value.size);
  if (value instanceof Undefined) return 0n;
  throw new TemplateFailure(`object of type '${typeName(value)}' has no len()`);
}

function dictSort(value: unknown, args: Arguments): unknown {
  const { case_sensitive, by = "key", reverse } = bind("dictsort", args, ["case_sensitive", "by", "reverse"]);
  if (by !== "key" && by !== "value") throw new TemplateFailure('You can only sort by either "key" or "value"');
  if (!(value instanceof Map)) throw new TemplateFailure(`'${typeName(value)}' object has no attribute 'items'`);
  const pairs = [...value].map(([key, part]) => tupleOf(key, part));
  return sorted(pairs, (pair) => folded(pair[by === "key" ? 0 : 1], flag(case_sensitive)), flag(reverse));
}

function reversed(value: unknown): unknown {
  if (typeof value === "string") return [...value].reverse().join("");
  if (value instanceof Undefined) value.fail();
  return [...iterate(value)].reverse();
}

function sort(value: unknown, args: Arguments): unknown {
  const { reverse, case_sensitive, attribute } = bind("sort", args, ["reverse", "case_sensitive", "attribute"]);
  const names = typeof attribute === "string" ? attribute.split(",") : [attribute];
  const key = (item: unknown) => names.map((name) => folded(partOf(item, name), flag(case_sensitive)));
  return sorted(iterate(value), key, flag(reverse));
}

function unique(value: unknown, args: Arguments): unknown {
  const { case_sensitive, attribute } = bind("unique", args, ["case_sensitive", "attribute"]);
  const seen = new Set<unknown>();
  return iterate(value).filter((item) => {
    const key = keyOf(folded(partOf(item, attribute), flag(case_sensitive)));
    // Tuples are equal by their items.
    const known = key instanceof Tuple ? `tuple ${repr(key)}` : key;
    if (seen.has(known)) return false;
    seen.add(known);
    return true;
  });
}

function join(value: unknown, args: Arguments): unknown {
  const { d = "", attribute } = bind("join", args, ["d", "attribute"]);
  return iterate(value)
    .map((item) => str(partOf(item, attribute)))
    .join(str(d));
}

function sum(value: unknown, args: Arguments): unknown {
  const { attribute, start = 0n } = bind("sum", args, ["attribute", "start"]);
  return iterate(value)
    .map((item) => partOf(item, attribute))
    .reduce((total, item) => binary["+"]!(total, item), start);
}

/** Filters of lists and dicts. */
export const listFilters: Readonly<Record<string, Filter>> = {
  attr: (value, args) => {
    const name = toText(required("attr", bind("attr", args, ["name"]), "name"), "name");
    if (value instanceof Undefined) value.fail();
    return methodOf(value, name) ?? new Undefined(`'${typeName(value)} object' has no attribute '${name}'`);
  },
  batch,
  count: (value) => lengthOf(value),
  dictsort: dictSort,
  first: (value) => {
    const items = iterate(value);
    return items.length ? items[0] : new Undefined("No first item, sequence was empty.");
  },
  groupby: groupBy,
  items: (value) => {
    if (value instanceof Undefined) return [];
    if (value instanceof Map) return [...value].map(([key, part]) => tupleOf(key, part));
    throw new TemplateFailure("Can only get item pairs from a mapping.");
  },
  join,
  last: (value) => {
    const items = iterate(value);
    return items.length ? items.at(-1) : new Undefined("No last item, sequence was empty.");
  },
  length: (value) => lengthOf(value),
  list: (value) => [...iterate(value)],
  max: extreme("max", true),
  min: extreme("min", false),
  reject: selecting("reject", false, false),
  rejectattr: selecting("rejectattr", false, true),
  reverse: (value) => reversed(value),
  select: selecting("select", true, false),
  selectattr: selecting("selectattr", true, true),
  slice,
  sort,
  sum,
  unique,
};
