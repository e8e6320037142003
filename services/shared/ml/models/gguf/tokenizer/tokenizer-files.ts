import type { Json } from "../../config/fields.js";
import type { GgufFields } from "../header/fields.js";
import { byteLevel } from "./byte-level.js";
import { sentencePiece } from "./sentence-piece.js";
import { type GgufToken, tokensOf } from "./vocabulary.js";

/** Ids of the tokens that a file gives a role. */
export interface RoleIds {
  readonly bos: number | undefined;
  /** All that end an answer: the end of a sequence first, then those of a turn and of a message. */
  readonly ends: readonly number[];
  readonly unk: number | undefined;
  readonly pad: number | undefined;
}

/** A tokenizer as the files of a Hugging Face directory. */
export interface ImportedTokenizer {
  readonly kind: string;
  readonly size: number;
  readonly roles: RoleIds;
  readonly files: Readonly<Record<"tokenizer.json" | "tokenizer_config.json", string>>;
}

/**
 * The tokenizer of a file.
 *
 * @param rows of the embedding
 * @param contextLength most tokens of a text
 * @param warnings takes sentences about what is unusual and allowed
 * @throws InvalidArgument or DataLoss naming the key
 */
export function importTokenizer(fields: GgufFields, rows: number, contextLength: number, warnings: string[]): ImportedTokenizer {
  const ggml = fields.under("tokenizer.ggml.");
  const tokens = tokensOf(ggml, rows);
  const model = ggml.text("model");
  if (model !== "gpt2" && model !== "llama")
    throw ggml.refused("model", "gpt2 (byte-level BPE), llama (SentencePiece BPE); or take the model's Hugging Face directory");
  const isGemma = fields.text("general.architecture").startsWith("gemma");
  if (fields.text("general.architecture") === "qwen2" && model === "gpt2" && !qwenSplits.has(ggml.text("pre", "default")))
    warnings.push(
      `${fields.path}: tokenizer.ggml.pre is ${JSON.stringify(ggml.text("pre", "default"))}, and transformers splits the text of a qwen2 by Qwen2's own rules, whatever its tokenizer.json says; so does Retort`,
    );
  const parts = model === "gpt2" ? byteLevel(ggml, tokens, warnings) : sentencePiece(ggml, tokens, isGemma);
  const roles = rolesOf(ggml, tokens, model === "llama");
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: parts.tokens.filter(({ kind }) => isAdded(kind)).map(addedToken),
    normalizer: parts.normalizer,
    pre_tokenizer: parts.preTokenizer,
    post_processor: postProcessor(ggml, tokens, roles, parts.addBos),
    decoder: parts.decoder,
    model: parts.model,
  };
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    clean_up_tokenization_spaces: false,
    model_max_length: contextLength,
    ...named(tokens, roles),
    ...chatTemplate(fields.under("tokenizer."), fields),
  };
  const text = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return {
    kind: parts.kind,
    size: tokens.length,
    roles,
    files: { "tokenizer.json": `${JSON.stringify(json)}\n`, "tokenizer_config.json": text(config) },
  };
}

/** Ways to split text that are Qwen2's own. */
const qwenSplits = new Set(["qwen2", "deepseek-r1-qwen"]);

const isAdded = (kind: GgufToken["kind"]): boolean => kind === "control" || kind === "unknown" || kind === "userDefined";

/** Tokens that are found in text before it is split. */
const addedToken = ({ id, text, kind }: GgufToken): Json => ({
  id,
  content: text,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: kind !== "userDefined",
});

/** @param isPieces a SentencePiece vocabulary, whose first three tokens are what llama.cpp takes where the file does not say */
function rolesOf(ggml: GgufFields, tokens: readonly GgufToken[], isPieces: boolean): RoleIds {
  const size = (tokens.at(-1)?.id ?? 0) + 1;
  const id = (key: string, fallback?: number) => ggml.id(`${key}_token_id`, size) ?? fallback;
  const ends = [id("eos", isPieces ? 2 : undefined), id("eot"), id("eom")].filter((one): one is number => one !== undefined);
  return {
    bos: id("bos", isPieces ? 1 : undefined),
    ends: [...new Set(ends)],
    unk: id("unknown", isPieces ? 0 : undefined),
    pad: id("padding"),
  };
}

function named(tokens: readonly GgufToken[], { bos, ends, unk, pad }: RoleIds): Json {
  const text = (id: number | undefined) => tokens.find((token) => token.id === id)?.text ?? null;
  return { bos_token: text(bos), eos_token: text(ends[0]), unk_token: text(unk), pad_token: text(pad) };
}

/** The tokens that are put around a text. */
function postProcessor(ggml: GgufFields, tokens: readonly GgufToken[], { bos, ends }: RoleIds, addBos: boolean): Json | null {
  const before = ggml.flag("add_bos_token", addBos) ? bos : undefined;
  const behind = ggml.flag("add_eos_token", false) ? ends[0] : undefined;
  if (before === undefined && behind === undefined) return null;
  const around = [before, behind].map((id) => tokens.find((token) => token.id === id)?.text);
  const special = (type: number, text: string | undefined) => (text === undefined ? [] : [{ SpecialToken: { id: text, type_id: type } }]);
  const of = (id: "A" | "B", type: number) => [
    ...special(type, around[0]),
    { Sequence: { id, type_id: type } },
    ...special(type, around[1]),
  ];
  const listed = [before, behind].flatMap((id, i) => {
    const text = around[i];
    return id === undefined || text === undefined ? [] : [[text, { id: text, ids: [id], tokens: [text] }] as const];
  });
  return {
    type: "TemplateProcessing",
    single: of("A", 0),
    pair: [...of("A", 0), ...of("B", 1)],
    special_tokens: Object.fromEntries(listed),
  };
}

/** The chat template, or all of them by name where there are several. */
function chatTemplate(tokenizer: GgufFields, fields: GgufFields): Json {
  const main = tokenizer.get("chat_template");
  tokenizer.get("chat_templates");
  const others = fields
    .under("tokenizer.chat_template.")
    .keys()
    .map((name) => ({ name, template: tokenizer.text(`chat_template.${name}`) }));
  if (main === undefined && others.length === 0) return {};
  const template = main === undefined ? [] : [{ name: "default", template: tokenizer.text("chat_template") }];
  return { chat_template: others.length ? [...template, ...others] : template[0]?.template };
}
