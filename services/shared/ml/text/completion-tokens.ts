// Where a completion's text meets two tokenizers: the one that wrote it, and another that reads it.
import { RetortError } from "../../base/errors.js";
import type { Tokenizer } from "./tokenizer.js";

/** A text that was written behind a prompt. */
export interface CompletionText {
  /** In the tokens of the tokenizer that is to read the text. */
  readonly promptIds: Int32Array;
  /** Without its end token. */
  readonly text: string;
  /** The token that ends it, to the tokenizer that is to read it; undefined where the text was cut. */
  readonly endId: number | undefined;
}

/** A text in tokens. */
export interface CompletionTokens {
  readonly ids: Int32Array;
  /** As many as `ids`: the bytes of the text that each writes; 0 for the end token. */
  readonly byteLengths: Uint16Array;
}

/** Most bytes of a token that a length says. */
const longestToken = 0xffff;

/** What stands for a character that was cut, or never was one. */
const replaced = /\uFFFD+$/;

const utf8 = new TextEncoder();

/**
 * Texts in the tokens of a tokenizer that did not write them, each as it reads it behind its prompt. Where a text was cut within a character,
 * what is left of that character isn't read. A text is read as far as the tokens spell it byte by byte: a special token's name in it, or
 * what a normalizer changes, ends what is read, and the end token then is not.
 *
 * @returns of each its tokens, or why it has none
 */
export function completionTokens(tokenizer: Tokenizer, completions: readonly CompletionText[]): (CompletionTokens | string)[] {
  const prompts = tokenizer.decodeAll(
    completions.map(({ promptIds }) => promptIds),
    { skipSpecial: false },
  );
  return completions.map(({ promptIds, text: written, endId }, i) => {
    const text = written.replace(replaced, "");
    const { ids, byteLengths } = readBehind(tokenizer, promptIds, prompts[i] ?? "", text);
    const isWhole = total(byteLengths) === utf8.encode(text).length;
    const ended = endId !== undefined && isWhole && text === written ? [endId] : [];
    if (ids.length + ended.length === 0)
      return text === ""
        ? "the completion has no text to be read in other tokens"
        : "the teacher's tokenizer changes the completion from its first character on (a normalizer, or a special token's name)";
    return { ids: Int32Array.of(...ids, ...ended), byteLengths: Uint16Array.of(...byteLengths, ...ended.map(() => 0)) };
  });
}

/** A text's tokens behind others, as far as they spell it: see {@link spelledLengths}. */
export const tokensOf = (tokenizer: Tokenizer, text: string): CompletionTokens => readBehind(tokenizer, new Int32Array(), "", text);

/** What to put before a text that can't be read together with its prompt: nothing, or characters that tokenizers keep to themselves. */
const leads = ["", "\n", "=", "a"];

/** A text's tokens behind a prompt: those of both together where the prompt's come first, else those that say most of the text by themselves. */
function readBehind(tokenizer: Tokenizer, promptIds: Int32Array, prompt: string, text: string): CompletionTokens {
  const bytes = utf8.encode(text).length;
  let best: CompletionTokens = { ids: new Int32Array(), byteLengths: new Uint16Array() };
  for (const lead of [undefined, ...leads]) {
    const [before, both] = [lead === undefined ? promptIds : encoded(tokenizer, lead), encoded(tokenizer, (lead ?? prompt) + text)];
    if (!before || !both || !before.every((id, i) => id === both[i])) continue;
    const ids = both.subarray(before.length);
    const byteLengths = spelledLengths(tokenizer, ids, text);
    if (total(byteLengths) > total(best.byteLengths)) best = { ids: ids.slice(0, byteLengths.length), byteLengths };
    if (total(byteLengths) === bytes) break;
  }
  return best;
}

/** The ids of a text; undefined where a piece of it has none. */
function encoded(tokenizer: Tokenizer, text: string): Int32Array | undefined {
  try {
    return tokenizer.encode(text);
  } catch (error) {
    if (RetortError.from(error).code !== "InvalidArgument") throw error;
    return undefined;
  }
}

/**
 * Tokens of one tokenizer whose texts another has no tokens for, of those that are whole characters: where it would stop to read.
 *
 * @returns their texts
 */
export function unreadTokens(writer: Tokenizer, reader: Tokenizer): string[] {
  const decoder = new TextDecoder();
  const texts = Array.from({ length: writer.size }, (_, id) => writer.bytesOf(id)).flatMap((bytes) =>
    bytes?.length ? decoder.decode(bytes) : [],
  );
  const whole = [...new Set(texts.filter((text) => !text.includes("\uFFFD")))];
  return whole.filter((text) => total(tokensOf(reader, text).byteLengths) < utf8.encode(text).length);
}

const total = (lengths: Uint16Array): number => lengths.reduce((sum, length) => sum + length, 0);

/**
 * The bytes of a text that each of its tokens writes, for as many tokens as spell it: up to the first that is special, or whose
 * bytes aren't those of the text.
 *
 * @param atStart whether the decoder may have taken a space off the beginning, as it does at the beginning of a whole text
 */
export function spelledLengths(tokenizer: Tokenizer, ids: ArrayLike<number>, text: string, atStart = false): Uint16Array {
  const bytes = utf8.encode(text);
  const lengths: number[] = [];
  let at = 0;
  for (let n = 0; n < ids.length; n++) {
    const spelled = tokenizer.bytesOf(Number(ids[n]));
    if (!spelled || spelled.length === 0 || spelled.length > longestToken) break;
    const lacksSpace = atStart && n === 0 && spelled[0] === space && bytes[0] !== space;
    const own = lacksSpace ? spelled.subarray(1) : spelled;
    if (!own.every((byte, i) => byte === bytes[at + i])) break;
    lengths.push(own.length);
    at += own.length;
  }
  return Uint16Array.from(lengths);
}

const space = 0x20;

/**
 * What the tokens of a completion write, by the tokenizer that wrote it, as far as they write its text: see {@link spelledLengths}. The stop
 * token that ends it writes no byte.
 */
export function writtenTokens(tokenizer: Tokenizer, { ids, text, ended }: WrittenText): WrittenTokens {
  const words = ended ? ids.subarray(0, ids.length - 1) : ids;
  const sound = text.replace(replaced, "");
  const lengths = spelledLengths(tokenizer, words, sound, true);
  const isWhole = total(lengths) === utf8.encode(sound).length;
  const byteLengths = ended && isWhole && lengths.length === words.length ? Uint16Array.of(...lengths, 0) : lengths;
  const beginsWord = wordStarts(utf8.encode(sound), byteLengths);
  if (lengths.length === words.length) return { byteLengths, beginsWord, noText: false };
  // The bytes of a character that the end of the completion has cut off are no fault.
  const isCut = isWhole && !ended && tokenizer.bytesOf(words[lengths.length]!) !== undefined;
  return { byteLengths, beginsWord, noText: !isCut };
}

/** 1 for each token that begins a word: it starts with the space behind the one before, or is the end token. */
function wordStarts(bytes: Uint8Array, lengths: Uint16Array): Uint8Array {
  let at = 0;
  return Uint8Array.from(lengths, (length) => {
    const begins = at === bytes.length || (isSpace(bytes[at]) && !isSpace(bytes[at - 1]));
    at += length;
    return begins ? 1 : 0;
  });
}

/** Space, tab, line feed, carriage return. */
const isSpace = (byte: number | undefined): boolean => byte === space || byte === 0x09 || byte === 0x0a || byte === 0x0d;

/** How the tokens of a completion write its text. */
export interface WrittenTokens {
  /** Bytes of each, up to the first that doesn't write the text. */
  readonly byteLengths: Uint16Array;
  /** As many as `byteLengths`: 1 for each that begins a word, as the end token does. */
  readonly beginsWord: Uint8Array;
  /** Whether the token behind them is one that no text has: a special token, or bytes that are no character. */
  readonly noText: boolean;
}

/** A completion as its sampler wrote it. */
export interface WrittenText {
  /** The end token included. */
  readonly ids: Int32Array;
  /** Without the end token. */
  readonly text: string;
  readonly ended: boolean;
}
