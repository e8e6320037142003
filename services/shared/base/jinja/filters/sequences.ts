import { attributeAlone } from "../access.js";
import { spend } from "../budget.js";
import { raise, refuse } from "../fault.js";
import { binary } from "../operators/arithmetic.js";
import { equal, less, sorted } from "../values/compare.js";
import { Dict, DictView, Lazy, Range, Tuple } from "../values/containers.js";
import { hashKey } from "../values/hash.js";
import { characters, isIterable, iterate, len, listOf, truth } from "../values/iterate.js";
import { Markup } from "../values/markup.js";
import { str } from "../values/repr.js";
import { isUndefined, Undefined } from "../values/undefined.js";
import { given, typeName, type Value } from "../values/value.js";
import { attributeGetter, type Filter, filter, ignoreCase, whole } from "./filter.js";

type Given = readonly (Value | undefined)[];

const isTrue = (value: Value | undefined) => value !== undefined && truth(value);

/** An iterator's items as a generator. */
function* itemsOf(value: Value): Generator<Value> {
  const iterator = iterate(value);
  for (let next = iterator.next(); !next.done; next = iterator.next()) {
    spend(1);
    yield next.value;
  }
}

function* batches(value: Value, [size, fill]: Given): Generator<Value> {
  const count = whole(size, 0);
  let batch: Value[] = [];
  for (const item of itemsOf(value)) {
    if (batch.length === count) {
      yield batch;
      batch = [];
    }
    batch.push(item);
  }
  if (batch.length === 0) return;
  if (fill !== undefined && fill !== null && count > batch.length) {
    spend(count - batch.length);
    while (batch.length < count) batch.push(fill);
  }
  yield batch;
}

function* slices(value: Value, [slices, fill]: Given): Generator<Value> {
  const items = listOf(value);
  const count = whole(slices, 0);
  if (count === 0) raise("ZeroDivisionError", "integer division or modulo by zero");
  const size = Math.floor(items.length / count);
  const extra = items.length - size * count;
  for (let index = 0, at = 0; index < count; index++) {
    spend(1);
    const end = at + size + (index < extra ? 1 : 0);
    const slice = items.slice(at, end);
    if (fill !== undefined && fill !== null && index >= extra) slice.push(fill);
    yield slice;
    at = end;
  }
}

function dictSort(value: Value, [caseSensitive, by, reverse]: Given): Value {
  const place =
    by === undefined || equal(by, "key")
      ? 0
      : equal(by, "value")
        ? 1
        : raise("FilterArgumentError", 'You can only sort by either "key" or "value"');
  if (isUndefined(value)) return value.fail();
  if (!(value instanceof Dict)) return raise("AttributeError", `'${typeName(value)}' object has no attribute 'items'`);
  const key = (entry: readonly [Value, Value]) => (isTrue(caseSensitive) ? entry[place] : ignoreCase(entry[place]));
  return sorted(value.entries(), key, isTrue(reverse)).map((entry) => new Tuple(entry));
}

function groupBy(value: Value, [attribute, otherwise, caseSensitive]: Given): Value {
  const real = attributeGetter(attribute, otherwise);
  const key = (item: Value) => (isTrue(caseSensitive) ? real(item) : ignoreCase(real(item)));
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(listOf(value), key)) {
    const last = groups.at(-1);
    if (last !== undefined && equal(last.key, key(item))) last.items.push(item);
    else groups.push({ key: key(item), items: [item] });
  }
  return groups.map(({ items }) => new Tuple([real(items[0]!), items], ["grouper", "list"]));
}

function extreme(value: Value, [caseSensitive, attribute]: Given, isBetter: (a: Value, b: Value) => boolean): Value {
  const get = attributeGetter(attribute);
  const key = (item: Value) => (isTrue(caseSensitive) ? get(item) : ignoreCase(get(item)));
  const [first, ...rest] = listOf(value);
  if (first === undefined) return new Undefined("No aggregated item, sequence was empty.");
  return rest.reduce((best, item) => (isBetter(key(item), key(best)) ? item : best), first);
}

/** Python's reversed(); undefined for what it refuses. */
function reversed(value: Value): Value[] | undefined {
  if (
    Array.isArray(value) ||
    value instanceof Tuple ||
    value instanceof Range ||
    value instanceof Dict ||
    value instanceof DictView ||
    isUndefined(value)
  )
    return [...listOf(value)].reverse();
  return typeof value === "string" || value instanceof Markup ? characters(str(value)).reverse() : undefined;
}

function reverse(value: Value): Value {
  if (typeof value === "string") return characters(value).reverse().join("");
  if (value instanceof Markup) return new Markup(characters(value.text).reverse().join(""));
  const items = reversed(value);
  if (items !== undefined) return new Lazy(items[Symbol.iterator](), "list_reverseiterator");
  return isIterable(value) ? [...listOf(value)].reverse() : raise("FilterArgumentError", "argument must be iterable");
}

function last(value: Value): Value {
  const items = reversed(value) ?? raise("TypeError", `'${typeName(value)}' object is not reversible`);
  return given(items[0], () => new Undefined("No last item, sequence was empty."));
}

const map: Filter = (value, args, keywords, tools) => {
  function* mapped(): Generator<Value> {
    if (!truth(value)) return;
    if (args.length === 0 && keywords.has("attribute")) {
      for (const key of keywords.keys())
        if (key !== "attribute" && key !== "default") raise("FilterArgumentError", `Unexpected keyword argument '${key}'`);
      const get = attributeGetter(keywords.get("attribute"), keywords.get("default"));
      for (const item of itemsOf(value)) yield get(item);
      return;
    }
    const [name, ...rest] = args;
    if (name === undefined) return raise("FilterArgumentError", "map requires a filter argument");
    for (const item of itemsOf(value)) yield tools.filter(str(name), item, rest, keywords);
  }
  return new Lazy(mapped());
};

function selecting(wanted: boolean, byAttribute: boolean): Filter {
  return (value, args, keywords, tools) => {
    function* selected(): Generator<Value> {
      if (!truth(value)) return;
      if (byAttribute && args.length === 0) raise("FilterArgumentError", "Missing parameter for attribute name");
      const get = attributeGetter(byAttribute ? args[0] : undefined);
      const [name, ...rest] = byAttribute ? args.slice(1) : args;
      for (const item of itemsOf(value)) {
        const tested = get(item);
        if ((name === undefined ? truth(tested) : tools.test(str(name), tested, rest, keywords)) === wanted) yield item;
      }
    }
    return new Lazy(selected());
  };
}

function sort(value: Value, [reverse, caseSensitive, attribute]: Given): Value {
  const path = attribute === undefined || attribute === null ? [null] : typeof attribute === "string" ? attribute.split(",") : [attribute];
  const getters = path.map((part) => attributeGetter(part));
  const key = (item: Value) => new Tuple(getters.map((get) => (isTrue(caseSensitive) ? get(item) : ignoreCase(get(item)))));
  return sorted(listOf(value), key, isTrue(reverse));
}

function sum(value: Value, [attribute, start]: Given): Value {
  if (typeof start === "string") raise("TypeError", "sum() can't sum strings [use ''.join(seq) instead]");
  const get = attributeGetter(attribute);
  let total: Value = given(start, () => 0n);
  for (const item of itemsOf(value)) total = binary("+", total, get(item));
  return total;
}

function* unique(value: Value, [caseSensitive, attribute]: Given): Generator<Value> {
  const get = attributeGetter(attribute);
  const seen = new Set<unknown>();
  for (const item of itemsOf(value)) {
    const key = hashKey(isTrue(caseSensitive) ? get(item) : ignoreCase(get(item)));
    if (!seen.has(key)) yield item;
    seen.add(key);
  }
}

function items(value: Value): Value {
  if (isUndefined(value)) return new Lazy([][Symbol.iterator]());
  if (value instanceof Dict) return new Lazy(iterate(new DictView("dict_items", value)));
  return new Lazy(
    (function* (): Generator<Value> {
      yield raise("TypeError", "Can only get item pairs from a mapping.");
    })(),
  );
}

/** Filters of lists, dicts and other things with items. */
export const sequenceFilters: Readonly<Record<string, Filter>> = {
  attr: filter(["name!"], (value, [name]) =>
    attributeAlone(value, typeof name === "string" ? name : raise("TypeError", "attribute name must be string")),
  ),
  batch: filter(["linecount!", "fill_with"], (value, args) => new Lazy(batches(value, args))),
  count: filter([], len),
  d: filter(["default_value", "boolean"], otherwise),
  default: filter(["default_value", "boolean"], otherwise),
  dictsort: filter(["case_sensitive", "by", "reverse"], dictSort),
  first: filter([], (value) => {
    const next = iterate(value).next();
    return next.done ? new Undefined("No first item, sequence was empty.") : next.value;
  }),
  groupby: filter(["attribute!", "default", "case_sensitive"], groupBy),
  items: filter([], items),
  last: filter([], last),
  length: filter([], len),
  list: filter([], (value) => [...listOf(value)]),
  map,
  max: filter(["case_sensitive", "attribute"], (value, args) => extreme(value, args, (item, best) => less(best, item))),
  min: filter(["case_sensitive", "attribute"], (value, args) => extreme(value, args, less)),
  random: () => refuse("the filter random"),
  reject: selecting(false, false),
  rejectattr: selecting(false, true),
  reverse: filter([], reverse),
  select: selecting(true, false),
  selectattr: selecting(true, true),
  slice: filter(["slices!", "fill_with"], (value, args) => new Lazy(slices(value, args))),
  sort: filter(["reverse", "case_sensitive", "attribute"], sort),
  sum: filter(["attribute", "start"], sum),
  unique: filter(["case_sensitive", "attribute"], (value, args) => new Lazy(unique(value, args))),
};

function otherwise(value: Value, [instead, boolean]: Given): Value {
  return isUndefined(value) || (isTrue(boolean) && !truth(value)) ? given(instead, () => "") : value;
}
