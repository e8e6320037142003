import type { JsonValue } from "@bufbuild/protobuf";
import type { Random } from "./random.js";
import { randomJson, randomText } from "./values.js";

type Holder = JsonValue[] | { [key: string]: JsonValue };

/** A copy of a JSON value with 1 to 3 changes somewhere: members gone, doubled, renamed, of another type, huge, or deep. */
export function mutatedJson<T extends JsonValue>(random: Random, value: T): JsonValue {
  const copy = { root: structuredClone(value) as JsonValue };
  for (let n = 1 + random.int(3); n > 0; n--) {
    const holder = random.pick(holdersIn(copy.root));
    if (!holder || random.chance(0.02)) copy.root = randomJson(random, 3);
    else change(random, holder);
  }
  return copy.root;
}

/** Every list and map of a value; without recursion, since a change may have made it deep. */
function holdersIn(value: JsonValue): Holder[] {
  const isHolder = (part: JsonValue): part is Holder => typeof part === "object" && part !== null;
  const found: Holder[] = isHolder(value) ? [value] : [];
  for (let i = 0; i < found.length; i++) for (const part of Object.values(found[i]!) as JsonValue[]) if (isHolder(part)) found.push(part);
  return found;
}

function change(random: Random, holder: Holder): void {
  const keys = Object.keys(holder);
  if (keys.length === 0) {
    put(holder, randomText(random), randomJson(random, 2));
    return;
  }
  const key = random.pick(keys);
  const old = (holder as Record<string, JsonValue>)[key]!;
  const kind = random.int(8);
  if (kind === 0) remove(holder, key);
  else if (kind === 1) put(holder, random.chance(0.5) ? randomText(random) : `${key}_`, structuredClone(old));
  else if (kind === 2) {
    remove(holder, key);
    put(holder, random.pick([randomText(random), key.toUpperCase(), `${key} `]), old);
  } else if (kind === 3) replace(holder, key, retyped(random, old));
  else if (kind === 4) replace(holder, key, huge(random, old));
  else if (kind === 5) replace(holder, key, random.chance(0.5) ? [old] : { [key]: old });
  else if (kind === 6) replace(holder, key, (holder as Record<string, JsonValue>)[random.pick(keys)]!);
  else replace(holder, key, randomJson(random, 2));
}

function remove(holder: Holder, key: string): void {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
}

function put(holder: Holder, key: string, value: JsonValue): void {
  if (Array.isArray(holder)) holder.push(value);
  else replace(holder, key, value);
}

/** As JSON.parse sets a member: `__proto__` is a key like others. */
function replace(holder: Holder, key: string, value: JsonValue): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

function retyped(random: Random, value: JsonValue): JsonValue {
  if (typeof value === "number") return random.pick([String(value), value + 0.5, -value, value === 0, null]);
  if (typeof value === "string")
    return random.pick([Number(value) || 0, [value], { [value]: value }, value.length, null, value.toUpperCase()]);
  if (typeof value === "boolean") return random.pick([Number(value), String(value), !value, null]);
  return random.pick([null, 0, "", JSON.stringify(value ?? {}).slice(0, 200)]);
}

function huge(random: Random, value: JsonValue): JsonValue {
  if (typeof value === "number") return random.pick([2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 1e30, -1, 1e308, 65_536, 1_000_000]);
  if (typeof value === "string") return value.repeat(Math.ceil(random.pick([300, 5000]) / (value.length || 1))) || "x".repeat(5000);
  if (Array.isArray(value)) return Array.from({ length: random.pick([70, 300]) }, () => value[0] ?? 1);
  let deep: JsonValue = value;
  for (let n = random.pick([20, 99, 150, 1000]); n > 0; n--) deep = random.chance(0.5) ? [deep] : { a: deep };
  return deep;
}
