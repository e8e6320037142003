// Where a completion's text meets two tokenizers: the one that wrote it, and another that reads it.
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

/** What to put before a text that can't be read together with its prompt: nothing, or characters that tokenizers keep to themselves. */
const leads = ["", "\n", "=", "a"];

/** A text's tokens behind a prompt: those of both together where the prompt's come first, else those that say most of the text by themselves. */
function readBehind(tokenizer: Tokenizer, promptIds: Int32Array, prompt: string, text: string): CompletionTokens {
  const bytes = utf8.encode(text).length;
  let best: CompletionTokens = { ids: new Int32Array(), byteLengths: new Uint16Array() };
  for (const lead of [undefined, ...leads]) {
    const before = lead === undefined ? promptIds : tokenizer.encode(lead);
    const both = tokenizer.encode((lead ?? prompt) + text);
    if (!before.every((id, i) => id === both[i])) continue;
    const ids = both.subarray(before.length);
    const byteLengths = spelledLengths(tokenizer, ids, text);
    if (total(byteLengths) > total(best.byteLengths)) best = { ids: ids.slice(0, byteLengths.length), byteLengths };
    if (total(byteLengths) === bytes) break;
  }
  return best;
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
 * As {@link spelledLengths}, of a completion by the tokenizer that wrote it, with its end token: a stop token that ends it writes no byte.
 *
 * @param ended whether the last of `ids` is a stop token
 */
export function writtenLengths(tokenizer: Tokenizer, { ids, text, ended }: WrittenText): Uint16Array {
  const words = ended ? ids.subarray(0, ids.length - 1) : ids;
  const lengths = spelledLengths(tokenizer, words, text.replace(replaced, ""), true);
  const isWhole = lengths.length === words.length && total(lengths) === utf8.encode(text).length;
  return ended && isWhole ? Uint16Array.of(...lengths, 0) : lengths;
}

/** A completion as its sampler wrote it. */
export interface WrittenText {
  /** The end token included. */
  readonly ids: Int32Array;
  /** Without the end token. */
  readonly text: string;
  readonly ended: boolean;
}
