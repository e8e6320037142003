/**
 * Which tokens transformers 5.24 adds to what tokenizer.json holds, and with which flags: PreTrainedTokenizerBase._from_pretrained
 * and TokenizersBackend.__init__, step by step.
 */
import { RetortError } from "../../../base/errors.js";
import type { AddedToken } from "./native/plan.js";
import { isRecord, type Json, type ParsedFiles } from "./parse.js";

/** A special token as a configuration names it: its text, or its text with flags (`normalized` is !special if nothing says it). */
export type NamedToken = string | (Omit<AddedToken, "normalized"> & { readonly normalized?: boolean });

/** The tokens that the files name beside those of tokenizer.json. */
export interface SpecialTokens {
  /** By attribute (`bos_token`, `image_token`, …), in the order in which transformers adds them; absent ones are not in it. */
  readonly named: ReadonlyMap<string, NamedToken>;
  readonly extra: readonly NamedToken[];
  /** Tokens of added_tokens_decoder, added_tokens.json and tokenizer.json, sorted by the id they are said to have. */
  readonly added: readonly Exclude<NamedToken, string>[];
}

/**
 * Extra special tokens that a class adds to those that the files give under the old name, additional_special_tokens; where
 * they use the new one, extra_special_tokens, nothing is added.
 *
 * @throws InvalidArgument where the two disagree
 */
export type ExtraTokens = (settings: Json, given: readonly string[]) => readonly string[];

/** Attributes that every tokenizer of transformers knows. */
const attributes = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"] as const;

/** The text of a token. */
export const textOf = (token: NamedToken): string => (typeof token === "string" ? token : token.content);

/**
 * The special tokens that the files name.
 *
 * @param defaults tokens that the tokenizer's class names where the files name none
 * @param extras extra tokens that it brings itself
 * @throws InvalidArgument naming file and field, where transformers raises
 */
export function specialTokens(
  files: ParsedFiles,
  defaults: Readonly<Record<string, string | null>> = {},
  extras: ExtraTokens = () => [],
): SpecialTokens {
  const settings: Json = { ...files.config };
  // An empty list of the one name gives way to the other.
  if ("additional_special_tokens" in settings && !hasEntries(settings.extra_special_tokens)) {
    settings.extra_special_tokens = settings.additional_special_tokens;
    delete settings.additional_special_tokens;
  }
  const modelSpecific = takeModelSpecific(settings);
  const added = new Map<number, Exclude<NamedToken, string>>();
  if ("added_tokens_decoder" in settings) readDecoder(settings.added_tokens_decoder, added);
  else readLegacy(files, settings, modelSpecific, added);
  const known = new Map([...added.values()].map((token) => [token.content, token]));
  const named = new Map<string, NamedToken>();
  const padding = files.tokenizer.padding;
  const paddingToken = isRecord(padding) ? padding.pad_token : undefined;
  for (const name of attributes) {
    const value = name in settings ? settings[name] : name in defaults ? defaults[name] : name === "pad_token" ? paddingToken : null;
    if (value === null || value === undefined) continue;
    const token = asToken(value, "tokenizer_config.json", name);
    named.set(name, name in settings ? (known.get(textOf(token)) ?? token) : token);
  }
  for (const [name, value] of [...customTokens(settings), ...modelSpecific]) named.set(name, asToken(value, "tokenizer_config.json", name));
  const own = extras(settings, listOf(settings.additional_special_tokens).map(String));
  const extra = [...extraTokens(settings), ...("extra_special_tokens" in settings ? [] : own)];
  return { named, extra, added: [...added].sort(([a], [b]) => a - b).map(([, token]) => token) };
}

/**
 * What is added to a tokenizer that already has the added tokens `present`, in order.
 *
 * @returns a batch for the Rust core: tokens that are already there with the same flags change nothing
 */
export function tokensToAdd({ named, extra, added }: SpecialTokens, present: readonly string[]): AddedToken[] {
  const there = new Set([...present, ...added.map(({ content }) => content)]);
  const rest = new Map<string, NamedToken>();
  for (const token of [...named.values(), ...extra]) {
    const key = JSON.stringify(token);
    if (!there.has(textOf(token)) && !rest.has(key)) rest.set(key, token);
  }
  const names = new Set([...named.values()].map(textOf));
  return [...added, ...rest.values()].map((token) => {
    const special = typeof token === "string" || token.special || names.has(token.content);
    return withFlags(token, special);
  });
}

/** Special tokens as they are added by their text alone. */
export function withFlags(token: NamedToken, special: boolean): AddedToken {
  const flags = typeof token === "string" ? { content: token, single_word: false, lstrip: false, rstrip: false } : token;
  return { ...flags, special, normalized: ("normalized" in flags ? flags.normalized : undefined) ?? !special };
}

/** Texts under names of the model's own (`image_token`): keys that end with _token, in tokens or in an object of named ones. */
function customTokens(settings: Json): [name: string, token: unknown][] {
  const isCustom = (name: string) => !(attributes as readonly string[]).includes(name) && name.endsWith("_token");
  return Object.entries(settings).filter(([name, value]) => isCustom(name) && (typeof value === "string" || isTypedToken(value)));
}

/** Takes tokens under names of the model's own out of tokenizer_config.json: texts, and an object of extra special tokens. */
function takeModelSpecific(settings: Json): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [name, value] of customTokens(settings)) {
    if (typeof value !== "string") continue;
    found.set(name, value);
    delete settings[name];
  }
  if (isRecord(settings.extra_special_tokens)) {
    for (const [name, value] of Object.entries(settings.extra_special_tokens)) found.set(name, value);
    delete settings.extra_special_tokens;
  }
  if (found.size === 0 && isRecord(settings.model_specific_special_tokens))
    for (const [name, value] of Object.entries(settings.model_specific_special_tokens)) found.set(name, value);
  return found;
}

function readDecoder(decoder: unknown, added: Map<number, Exclude<NamedToken, string>>): void {
  if (!isRecord(decoder)) throw refused("tokenizer_config.json", "added_tokens_decoder", "must be an object of tokens by id");
  for (const [id, token] of Object.entries(decoder)) {
    if (!isRecord(token)) throw refused("tokenizer_config.json", `added_tokens_decoder.${id}`, "must be an object with content");
    added.set(Number(id), tokenOf(token, "tokenizer_config.json", `added_tokens_decoder.${id}`));
  }
}

/** What is read of directories that were saved before added_tokens_decoder was. */
function readLegacy(
  files: ParsedFiles,
  settings: Json,
  modelSpecific: Map<string, unknown>,
  added: Map<number, Exclude<NamedToken, string>>,
): void {
  const fromMap = new Set<unknown>();
  const asSpecial = (value: unknown): unknown => {
    if (!isRecord(value)) return value;
    const token = { ...value, __type: "AddedToken", special: true };
    fromMap.add(token);
    return token;
  };
  for (const [name, value] of Object.entries(files.specialTokensMap ?? {})) {
    if (name === "extra_special_tokens" && Array.isArray(value)) settings[name] = [...listOf(settings[name]), ...value.map(asSpecial)];
    else if (name === "extra_special_tokens" && isRecord(value))
      for (const [key, token] of Object.entries(value)) modelSpecific.set(key, token);
    else settings[name] = isRecord(value) ? asSpecial(value) : value;
  }
  const named = [...attributes.map((name) => settings[name]), ...listOf(settings.extra_special_tokens)];
  // Tokens with flags in tokenizer_config.json are not yet known as tokens where transformers compares texts.
  const special = new Set(named.map((token) => (isRecord(token) && fromMap.has(token) ? token.content : token)));
  for (const [content, id] of Object.entries(files.addedTokens ?? {})) {
    const isSpecial = special.has(content);
    added.set(Number(id), { content, single_word: false, lstrip: false, rstrip: false, normalized: !isSpecial, special: isSpecial });
  }
  for (const token of listOf(files.tokenizer.added_tokens))
    if (isRecord(token)) added.set(Number(token.id), tokenOf(token, "tokenizer.json", "added_tokens"));
}

function extraTokens(settings: Json): NamedToken[] {
  const value = settings.extra_special_tokens ?? ("extra_special_tokens" in settings ? null : settings.additional_special_tokens);
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value))
    throw refused("tokenizer_config.json", "extra_special_tokens", "must be a list of tokens or an object of named ones");
  return value.map((token, i) => asToken(token, "tokenizer_config.json", `extra_special_tokens[${i}]`));
}

const isTypedToken = (value: unknown): boolean => isRecord(value) && value.__type === "AddedToken";

function asToken(value: unknown, file: string, field: string): NamedToken {
  if (typeof value === "string") return value;
  if (isRecord(value) && isTypedToken(value)) return tokenOf(value, file, field);
  throw refused(file, field, `is ${JSON.stringify(value)}; it must be text, or an object with "__type": "AddedToken" and content`);
}

function tokenOf(value: Json, file: string, field: string): Exclude<NamedToken, string> {
  const flag = (name: string): boolean | undefined => {
    const given = value[name];
    if (given !== undefined && typeof given !== "boolean") throw refused(file, `${field}.${name}`, "must be true or false");
    return given;
  };
  if (typeof value.content !== "string") throw refused(file, `${field}.content`, "must be text");
  return {
    content: value.content,
    single_word: flag("single_word") ?? false,
    lstrip: flag("lstrip") ?? false,
    rstrip: flag("rstrip") ?? false,
    normalized: flag("normalized"),
    special: flag("special") ?? false,
  };
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

const hasEntries = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : isRecord(value) ? Object.keys(value).length > 0 : Boolean(value);

const refused = (file: string, field: string, what: string): RetortError =>
  new RetortError("InvalidArgument", `${file}: ${field} ${what}`, { fieldPath: field });
