import { type JsonObject, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import type { Random } from "./random.js";

const [most32, most64] = [2 ** 32 - 1, 2n ** 64n - 1n];

/** Texts that mean something to somebody: empty, marks, NUL, surrogates, right-to-left, escapes, templates, patterns, numbers. */
const tellingTexts = [
  "",
  " ",
  "\0",
  "a\0b",
  "\ud800",
  "\udfff\ud800",
  "\u202e\ufeff\u2028",
  "👩‍👩‍👧‍👦e\u0301",
  "../../../etc/passwd",
  "/dev/null",
  "__proto__",
  "constructor",
  "toString",
  "NaN",
  "1e999",
  "-0",
  "{{ 7 * 7 }}{% raw %}",
  "[",
  "(?<a>.)\\k<a>",
  "\\",
  "#{x}",
  "<|endoftext|></s><s>",
  "twelve",
  "full",
  "student_top_k",
  "top_k",
  "regex",
  "exact_match",
  "num2words",
] as const;

/** A text: a telling one, random characters, or a long one. */
export function randomText(random: Random): string {
  if (random.chance(0.6)) return random.pick(tellingTexts);
  if (random.chance(0.1)) return random.pick(["a", "é", "\0", "[", " "]).repeat(random.pick([255, 1025, 4097, 20_000]));
  return Array.from({ length: random.int(12) }, () => String.fromCharCode(random.int(random.chance(0.8) ? 128 : 65_536))).join("");
}

/** A whole number of 32 bits, mostly at a bound of somebody's. */
export const randomCount = (random: Random): number =>
  random.pick([0, 1, 1, 2, 3, 7, 8, 64, 1000, 1024, 1025, 65_535, 65_536, 2 ** 24, 2 ** 31 - 1, 2 ** 31, most32, random.int(most32)]);

const doubles = [
  0,
  -0,
  1,
  -1,
  0.5,
  2,
  1e-3,
  1e-9,
  5e-324,
  1e30,
  -1e30,
  1.7e308,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];

const signed = (random: Random): number => (randomCount(random) * (random.chance(0.3) ? -1 : 1)) | 0;

const floats = (random: Random): number => random.pick(doubles);

/** A value of a scalar type, as Protobuf-ES has it. */
export function randomScalar(random: Random, type: ScalarType): unknown {
  switch (type) {
    case ScalarType.BOOL:
      return random.chance(0.5);
    case ScalarType.BYTES:
      return new Uint8Array(random.bytes(random.pick([0, 1, 3, 4, 8, 64, 1000])));
    case ScalarType.STRING:
      return wellFormed(randomText(random));
    case ScalarType.DOUBLE:
      return floats(random);
    case ScalarType.FLOAT:
      return Math.fround(floats(random) % 1e38);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return random.pick([0n, 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, most64, random.bits()]);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return BigInt.asIntN(64, random.pick([0n, -1n, 2n ** 63n, 2n ** 53n, random.bits()]));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return randomCount(random);
    default:
      return signed(random);
  }
}

/** A JSON value of at most this depth. */
export function randomJson(random: Random, depth: number): JsonValue {
  const kind = random.int(depth > 0 ? 6 : 4);
  if (kind === 0) return random.pick([null, true, false]);
  if (kind === 1) return random.pick([0, -1, 1.5, 1e21, 2 ** 53, -0]);
  if (kind < 4) return wellFormed(randomText(random));
  if (kind === 4) return Array.from({ length: random.int(4) }, () => randomJson(random, depth - 1));
  return randomObject(random, depth);
}

/** A JSON object of at most this depth. */
export const randomObject = (random: Random, depth: number): JsonObject =>
  Object.fromEntries(Array.from({ length: random.int(4) }, () => [wellFormed(randomText(random)), randomJson(random, depth - 1)]));

/** A text as UTF-8 carries it: halves of surrogate pairs become U+FFFD. */
const wellFormed = (text: string): string => Buffer.from(text).toString();
