import { clone, create, type DescField, type DescMessage, fromJson, type Message, type MessageShape } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { ArraySchema } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import type { Random } from "./random.js";
import { randomCount, randomObject, randomScalar } from "./values.js";

/** How deep messages are within each other. */
const deepest = 6;

/** A message that is valid by type alone. */
export function randomMessage<D extends DescMessage>(random: Random, descriptor: D, depth = 0): MessageShape<D> {
  if (descriptor.typeName === StructSchema.typeName)
    return fromJson(StructSchema, randomObject(random, random.pick([1, 3, 30]))) as unknown as MessageShape<D>;
  if (descriptor.typeName === ArraySchema.typeName) return randomArray(random) as unknown as MessageShape<D>;
  const message = create(descriptor);
  const reflected = reflect(descriptor, message);
  for (const field of reflected.fields) if (random.chance(depth === 0 ? 0.8 : 0.5)) setRandom(random, reflected, field, depth);
  return message;
}

/** An array whose bytes agree with its type and shape more often than not. */
function randomArray(random: Random) {
  const shape = Array.from({ length: random.pick([0, 1, 1, 2, 9]) }, () => (random.chance(0.9) ? random.int(6) : randomCount(random)));
  const elements = shape.reduce((a, b) => a * b, 1);
  const length = random.chance(0.8) && elements < 1000 ? elements * random.pick([4, 4, 4, 2]) : random.pick([0, 1, 3, 4, 8, 40]);
  const data = random.chance(0.7) ? smallNumbers(random, length) : random.bytes(length);
  return create(ArraySchema, { type: random.pick([0, 1, 2, 3, 3, 3, 4, 5, 6]), shape, data: new Uint8Array(data) });
}

/** Bytes that are small whole numbers of 32 bits: token ids, often. */
function smallNumbers(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 4) bytes[i] = random.int(48);
  return bytes;
}

function setRandom(random: Random, message: ReflectMessage, field: DescField, depth: number): void {
  if (field.fieldKind === "message") {
    if (depth < deepest) message.set(field, reflect(field.message, randomMessage(random, field.message, depth + 1)));
  } else if (field.fieldKind === "enum") message.set(field, random.pick([0, 1, 2, 3, 7, -1, 2 ** 31 - 1]));
  else if (field.fieldKind === "scalar") message.set(field, randomScalar(random, field.scalar));
  else if (field.fieldKind === "list") {
    const list = message.get(field);
    const length = random.pick([0, 1, 1, 2, 3, depth < 2 ? 20 : 4]);
    for (let n = 0; n < length && depth < deepest; n++) {
      if (field.listKind === "message") list.add(reflect(field.message, randomMessage(random, field.message, depth + 1)));
      else list.add(field.listKind === "enum" ? random.int(5) : randomScalar(random, field.scalar));
    }
  } else {
    const map = message.get(field);
    for (let n = random.int(4); n > 0 && depth < deepest; n--) {
      const key = randomScalar(random, field.mapKey) as string;
      if (field.mapKind === "message") map.set(key, reflect(field.message, randomMessage(random, field.message, depth + 1)));
      else map.set(key, field.mapKind === "enum" ? random.int(5) : randomScalar(random, field.scalar));
    }
  }
}

/** A copy of a message with 1 to 3 fields somewhere in it changed: another value, none, entries doubled or gone. */
export function mutatedMessage<D extends DescMessage>(random: Random, descriptor: D, message: MessageShape<D>): MessageShape<D> {
  const copy = clone(descriptor, message);
  for (let n = 1 + random.int(3); n > 0; n--) mutateIn(random, reflect(descriptor, copy), 0);
  return copy;
}

function mutateIn(random: Random, message: ReflectMessage, depth: number): void {
  const inner = random.chance(0.7) ? partsOf(message) : [];
  if (inner.length && depth < deepest) {
    mutateIn(random, random.pick(inner), depth + 1);
    return;
  }
  if (message.fields.length === 0) return;
  const set = message.fields.filter((field) => message.isSet(field));
  const field = set.length && random.chance(0.6) ? random.pick(set) : random.pick(message.fields);
  if (random.chance(0.2)) message.clear(field);
  else if (field.fieldKind === "list" && random.chance(0.5)) mutateList(random, message, field);
  else setRandom(random, message, field, Math.max(depth, 2));
}

function mutateList(random: Random, message: ReflectMessage, field: DescField & { fieldKind: "list" }): void {
  const list = message.get(field);
  const entries = [...list];
  const { length } = entries;
  list.clear();
  const kept = random.pick([entries.slice(0, random.int(length + 1)), [...entries].reverse(), [...entries, ...entries], entries.slice(1)]);
  for (const entry of kept) list.add(entry);
}

/** The messages directly in a message whose fields can be changed in place. */
function partsOf(message: ReflectMessage): ReflectMessage[] {
  return message.fields.flatMap((field): ReflectMessage[] => {
    if (!message.isSet(field)) return [];
    if (field.fieldKind === "message") return field.message.typeName === StructSchema.typeName ? [] : [message.get(field)];
    if (field.fieldKind === "list" && field.listKind === "message") return [...message.get(field)] as ReflectMessage[];
    return [];
  });
}

/** A message's own fields that hold text, with what is in them, all the way down. */
export function eachText(
  descriptor: DescMessage,
  message: Message,
  see: (name: string, value: string, set: (value: string) => void) => void,
): void {
  walk(reflect(descriptor, message), see);
}

function walk(message: ReflectMessage, see: (name: string, value: string, set: (value: string) => void) => void): void {
  for (const field of message.fields) {
    if (field.fieldKind !== "scalar" || !message.isSet(field)) continue;
    const value: unknown = message.get(field);
    if (typeof value === "string") see(field.localName, value, (text) => message.set(field, text));
  }
  for (const part of partsOf(message)) walk(part, see);
}
