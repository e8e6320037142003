/**
 * The tokenizer classes of transformers 5.24 that take only vocabulary, merges and post-processor from tokenizer.json, and
 * bring normalizer, pre-tokenizer and decoder themselves (models/NAME/tokenization_NAME.py).
 */

import { RetortError } from "../../../base/errors.js";
import type { PostProcessor, PostToken } from "./native/plan.js";
import type { Json } from "./parse.js";
import type { ExtraTokens } from "./special-tokens.js";

/** What a class puts in the place of tokenizer.json's parts. */
export interface Rebuild {
  /** The model's kind that the class reads; another one is refused. */
  readonly model: "BPE" | "WordPiece" | "Unigram";
  /** Special tokens that the class names where the files name none; null where it says that there is none. */
  readonly defaults: Readonly<Record<string, string | null>>;
  /** Extra special tokens that the class brings itself. */
  readonly extras?: ExtraTokens;
  /** Settings of the model beside vocabulary and merges. @param unk the text of the unknown token */
  readonly rules: (settings: Json, unk: string | undefined) => Json;
  readonly normalizer: (settings: Json, charsmap: unknown) => Json | null;
  readonly preTokenizer: (settings: Json) => Json;
  readonly decoder: (settings: Json) => Json;
  /** The class's own post-processor; without it, tokenizer.json's stays. @param token the text of a special token by name */
  readonly postProcessor?: (settings: Json, token: (name: string) => string) => PostProcessor;
  /** Whether all special tokens are added once more by their text, without flags ("plain"), or with their flags ("flags"). */
  readonly again?: "plain" | "flags";
}

const sequence = (key: string, items: readonly Json[]): Json => ({ type: "Sequence", [key]: items });
const split = (pattern: Json, behavior: string): Json => ({ type: "Split", pattern, behavior, invert: false });
const byteLevel = (addPrefixSpace: boolean, useRegex = true): Json => ({
  type: "ByteLevel",
  add_prefix_space: addPrefixSpace,
  trim_offsets: true,
  use_regex: useRegex,
});
const metaspace = (scheme: string, splits = true): Json => ({ type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split: splits });
const precompiled = (charsmap: unknown): Json | null =>
  typeof charsmap === "string" ? { type: "Precompiled", precompiled_charsmap: charsmap } : null;
const plainPost: PostProcessor = { type: "template", single: "$A:0", pair: "$A:0 $B:1", tokens: [] };

const truthy = (value: unknown, otherwise: boolean): boolean => (value === null || value === undefined ? otherwise : Boolean(value));
const bytesBpe = (): Json => ({ continuing_subword_prefix: "", end_of_word_suffix: "", fuse_unk: false });

const qwen = (pattern: string, again?: "plain"): Rebuild => ({
  model: "BPE",
  defaults: { unk_token: "<|endoftext|>", eos_token: "<|endoftext|>", pad_token: "<|endoftext|>" },
  rules: bytesBpe,
  normalizer: () => ({ type: "NFC" }),
  preTokenizer: (settings) =>
    sequence("pretokenizers", [split({ Regex: pattern }, "Isolated"), byteLevel(truthy(settings.add_prefix_space, false), false)]),
  decoder: () => byteLevel(true),
  again,
});

const gpt2: Rebuild = {
  model: "BPE",
  defaults: { unk_token: "<|endoftext|>", bos_token: "<|endoftext|>", eos_token: "<|endoftext|>", pad_token: null },
  rules: bytesBpe,
  normalizer: () => null,
  preTokenizer: (settings) => byteLevel(truthy(settings.add_prefix_space, false)),
  decoder: () => byteLevel(true),
};

const angles = { bos_token: "<s>", eos_token: "</s>", sep_token: "</s>", cls_token: "<s>", unk_token: "<unk>", pad_token: "<pad>" };

const roberta: Rebuild = {
  ...gpt2,
  defaults: { ...angles, mask_token: "<mask>" },
  postProcessor: (settings, token) => ({
    type: "roberta",
    sep: { text: token("sep_token") },
    cls: { text: token("cls_token") },
    trimOffsets: truthy(settings.trim_offsets, true),
    addPrefixSpace: truthy(settings.add_prefix_space, false),
  }),
};

const brackets = { unk_token: "[UNK]", sep_token: "[SEP]", pad_token: "[PAD]", cls_token: "[CLS]", mask_token: "[MASK]" };

const aroundPair = (cls: PostToken, sep: PostToken): PostProcessor => ({
  type: "template",
  single: `${cls.text}:0 $A:0 ${sep.text}:0`,
  pair: `${cls.text}:0 $A:0 ${sep.text}:0 $B:1 ${sep.text}:1`,
  tokens: [cls, sep],
});

const bert: Rebuild = {
  model: "WordPiece",
  defaults: brackets,
  rules: (_, unk) => ({ unk_token: unk ?? "None", continuing_subword_prefix: "##", max_input_chars_per_word: 100 }),
  normalizer: (settings) => ({
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: truthy(settings.tokenize_chinese_chars, true),
    strip_accents: settings.strip_accents ?? null,
    lowercase: truthy(settings.do_lower_case, true),
  }),
  preTokenizer: () => ({ type: "BertPreTokenizer" }),
  decoder: () => ({ type: "WordPiece", prefix: "##", cleanup: true }),
  postProcessor: (_, token) => aroundPair({ text: token("cls_token"), otherwise: 2 }, { text: token("sep_token"), otherwise: 3 }),
};

const spaces = (strip: boolean): Json =>
  sequence("decoders", [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    ...(strip ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
  ]);

const llamaScheme = ({ add_prefix_space, legacy }: Json): string =>
  !truthy(add_prefix_space, true) ? "never" : legacy ? "always" : "first";

/** T5's sentinels: all of them, or those that the files give. */
function sentinels({ extra_ids }: Json, given: readonly string[]): string[] {
  const count = typeof extra_ids === "number" ? extra_ids : 100;
  const held = given.filter((token) => token.includes("<extra_id_")).length;
  if (held === 0) return Array.from({ length: count }, (_, i) => `<extra_id_${i}>`);
  if (count === 0 || count === held) return [];
  throw new RetortError(
    "InvalidArgument",
    `tokenizer_config.json: extra_ids is ${count}, and additional_special_tokens has ${held} tokens <extra_id_…>; make them agree`,
    { fieldPath: "extra_ids" },
  );
}

const qwen2Pattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const qwen35Pattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** The rebuilt classes that are reproduced here, by name. */
export const rebuilds: ReadonlyMap<string, Rebuild> = new Map<string, Rebuild>([
  ["BertTokenizer", bert],
  [
    "CohereTokenizer",
    {
      ...gpt2,
      defaults: {
        unk_token: "<UNK>",
        bos_token: "<BOS_TOKEN>",
        eos_token: "<|END_OF_TURN_TOKEN|>",
        pad_token: "<PAD>",
        cls_token: "<CLS>",
        sep_token: "<SEP>",
        mask_token: "<MASK_TOKEN>",
      },
      normalizer: () => ({ type: "NFC" }),
      preTokenizer: (settings) =>
        sequence("pretokenizers", [{ type: "Digits", individual_digits: true }, byteLevel(truthy(settings.add_prefix_space, false))]),
      again: "flags",
    },
  ],
  ["DistilBertTokenizer", bert],
  ["GPT2Tokenizer", gpt2],
  [
    "GPTNeoXTokenizer",
    {
      ...gpt2,
      defaults: { ...gpt2.defaults, pad_token: "<|padding|>" },
      normalizer: () => ({ type: "NFC" }),
      postProcessor: () => plainPost,
    },
  ],
  [
    "GemmaTokenizer",
    {
      model: "BPE",
      defaults: { unk_token: "<unk>", bos_token: "<bos>", eos_token: "<eos>", pad_token: "<pad>", mask_token: "<mask>" },
      rules: (_, unk) => ({ fuse_unk: true, byte_fallback: true, unk_token: unk ?? "None" }),
      normalizer: () => ({ type: "Replace", pattern: { String: " " }, content: "▁" }),
      preTokenizer: () => split({ String: " " }, "MergedWithPrevious"),
      decoder: () => spaces(false),
    },
  ],
  [
    "LlamaTokenizer",
    {
      model: "BPE",
      defaults: { unk_token: "<unk>", bos_token: "<s>", eos_token: "</s>" },
      rules: () => ({ fuse_unk: true, byte_fallback: true }),
      normalizer: () => null,
      preTokenizer: (settings) => metaspace(llamaScheme(settings), false),
      decoder: (settings) => spaces(truthy(settings.add_prefix_space, true)),
    },
  ],
  ["Qwen2Tokenizer", qwen(qwen2Pattern, "plain")],
  ["Qwen3_5Tokenizer", qwen(qwen35Pattern)],
  ["RobertaTokenizer", roberta],
  [
    "T5Tokenizer",
    {
      model: "Unigram",
      defaults: { eos_token: "</s>", unk_token: "<unk>", pad_token: "<pad>" },
      extras: sentinels,
      rules: () => ({ unk_id: 2, byte_fallback: false }),
      normalizer: (_, charsmap) => precompiled(charsmap),
      preTokenizer: () => sequence("pretokenizers", [{ type: "WhitespaceSplit" }, metaspace("always")]),
      decoder: () => metaspace("always"),
      postProcessor: (_, token) => {
        const tokens = [{ text: "</s>", idOf: token("eos_token") }];
        return { type: "template", single: "$A </s>", pair: "$A </s> $B </s>", tokens };
      },
    },
  ],
  [
    "XLMRobertaTokenizer",
    {
      model: "Unigram",
      defaults: { ...angles, mask_token: "<mask>" },
      rules: () => ({ unk_id: 3, byte_fallback: false }),
      normalizer: (_, charsmap) => precompiled(charsmap),
      preTokenizer: (settings) =>
        sequence("pretokenizers", [{ type: "WhitespaceSplit" }, metaspace(truthy(settings.add_prefix_space, true) ? "always" : "never")]),
      decoder: (settings) => metaspace(truthy(settings.add_prefix_space, true) ? "always" : "never"),
      postProcessor: (_, token) => {
        const [bos, eos] = [token("bos_token"), token("eos_token")];
        const tokens = [{ text: bos }, { text: eos }];
        return { type: "template", single: `${bos} $A ${eos}`, pair: `${bos} $A ${eos} ${eos} $B ${eos}`, tokens };
      },
    },
  ],
]);
