import { RetortError } from "../../../base/errors.js";
import { isRecord, type Json } from "./parse.js";

/** The bytes that a token adds to a text. */
export type SpellToken = (token: string) => Uint8Array;

const encoder = new TextEncoder();

/**
 * How a tokenizer's tokens spell bytes: the bytes of a text's tokens, one after the other, are the text's in UTF-8. A character may be
 * cut: its bytes then are several tokens'. A space that the decoder takes off the beginning of a whole text is left: texts here are
 * written behind others.
 *
 * @param decoder of tokenizer.json
 * @throws InvalidArgument for a decoder whose tokens spell otherwise together than one by one (WordPiece, CTC, none)
 */
export function tokenSpelling(decoder: unknown): SpellToken {
  const steps = (isRecord(decoder) && decoder.type === "Sequence" && Array.isArray(decoder.decoders) ? decoder.decoders : [decoder]).map(
    stepOf,
  );
  return (token) => {
    let text = token;
    for (const step of steps) {
      const made = step(text);
      if (typeof made !== "string") return made;
      text = made;
    }
    return encoder.encode(text);
  };
}

/** One decoder's part: another text, or the bytes that it comes to in the end. */
type Step = (token: string) => string | Uint8Array;

const asItIs: Step = (token) => token;

function stepOf(decoder: unknown): Step {
  const { type, ...settings } = isRecord(decoder) ? decoder : { type: "none" };
  if (type === "ByteLevel") return byteLevel;
  if (type === "ByteFallback") return byteFallback;
  if (type === "Fuse") return asItIs;
  if (type === "Metaspace") return replacing(String(settings.replacement ?? "▁"), " ");
  // It takes spaces off the ends of a whole text.
  if (type === "Strip" && settings.content === " ") return asItIs;
  if (type === "Replace" && isRecord(settings.pattern) && typeof settings.pattern.String === "string")
    return replacing(settings.pattern.String, String(settings.content));
  throw new RetortError(
    "InvalidArgument",
    `the bytes of its tokens are not known: the decoder ${shown(decoder)} of tokenizer.json does not spell token by token; ByteLevel, ByteFallback, Fuse, Metaspace and Replace do`,
    { fieldPath: "decoder" },
  );
}

const replacing =
  (what: string, by: string): Step =>
  (token) =>
    token.replaceAll(what, by);

function byteFallback(token: string): string | Uint8Array {
  const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return hex === undefined ? token : Uint8Array.of(Number.parseInt(hex, 16));
}

/** The bytes that stand for themselves in GPT-2's alphabet of characters for bytes; the others are written as those from U+0100 on. */
const isPlain = (byte: number): boolean => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

const bytes = Array.from({ length: 256 }, (_, byte) => byte);
const others = bytes.filter((byte) => !isPlain(byte));
const byteOf = new Map([
  ...bytes.filter(isPlain).map((byte) => [byte, byte] as const),
  ...others.map((byte, i) => [0x100 + i, byte] as const),
]);

function byteLevel(token: string): Uint8Array {
  const spelled = Array.from(token, (character) => byteOf.get(character.codePointAt(0) ?? -1));
  // A token that was added with other characters stands for its own text.
  return spelled.includes(undefined) ? encoder.encode(token) : Uint8Array.from(spelled as number[]);
}

const shown = (decoder: unknown): string => (isRecord(decoder) ? String((decoder as Json).type) : "null");
