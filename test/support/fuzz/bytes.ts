import type { Random } from "./random.js";

/** Bytes that mean something to many formats: ends of numbers, quotes, marks, a UTF-16 mark, varints without end. */
const telling = [
  [0],
  [0xff],
  [0x7f],
  [0x80],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xfe],
  [0xed, 0xa0, 0x80],
  [0x22],
  [0x7b, 0x5b],
  [0x0a],
  [0x1f, 0x8b],
  [0, 0, 0, 0, 0, 0, 0, 0x80],
];

/** A copy of the bytes with 1 to 4 changes: bits, bytes, parts cut out, doubled, moved or put in, an end cut off. */
export function mutatedBytes(random: Random, bytes: Uint8Array): Buffer {
  let changed = Buffer.from(bytes);
  for (let n = 1 + random.int(4); n > 0; n--) changed = Buffer.from(random.pick(changes)(random, changed));
  return changed;
}

const at = (random: Random, bytes: Buffer): number => random.int(bytes.length + 1);

function range(random: Random, bytes: Buffer): [number, number] {
  const from = at(random, bytes);
  return [from, Math.min(bytes.length, from + random.int(random.chance(0.5) ? 4 : 64))];
}

const changes: readonly ((random: Random, bytes: Buffer) => Buffer)[] = [
  (random, bytes) => bytes.subarray(0, at(random, bytes)),
  (random, bytes) => {
    if (bytes.length) bytes[random.int(bytes.length)]! ^= 1 << random.int(8);
    return bytes;
  },
  (random, bytes) => {
    if (bytes.length) bytes[random.int(bytes.length)] = random.pick([0, 1, 0x7f, 0x80, 0xfe, 0xff, random.int(256)]);
    return bytes;
  },
  (random, bytes) => {
    const [from, to] = range(random, bytes);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  (random, bytes) => {
    const [from, to] = range(random, bytes);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  (random, bytes) => {
    const place = at(random, bytes);
    const piece = random.chance(0.5) ? Buffer.from(random.pick(telling)) : random.bytes(random.int(16));
    return Buffer.concat([bytes.subarray(0, place), piece, bytes.subarray(place)]);
  },
  (random, bytes) => {
    const [from, to] = range(random, bytes);
    const [other] = range(random, bytes);
    bytes.copyWithin(other, from, to);
    return bytes;
  },
];
