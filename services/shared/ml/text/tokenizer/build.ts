import { RetortError } from "../../../base/errors.js";
import { tokenizerClass } from "./classes.js";
import { NativeFailure, NativeTokenizer } from "./native/native-tokenizer.js";
import type { AddedToken, PostProcessor, TokenizerPlan } from "./native/plan.js";
import { isRecord, type Json, type ParsedFiles } from "./parse.js";
import { type Rebuild, rebuilds } from "./rebuilds.js";
import { type SpecialTokens, specialTokens, textOf, tokensToAdd, withFlags } from "./special-tokens.js";

/** A tokenizer as AutoTokenizer of transformers 5.24 makes it of a directory. */
export interface TokenizerDesign {
  readonly plan: TokenizerPlan;
  readonly special: SpecialTokens;
  /** Added tokens with the flags that they have in the end, by text. */
  readonly added: ReadonlyMap<string, AddedToken>;
  /** tokenizer.json, with the parts that the class puts into it. */
  readonly tokenizer: Json;
}

/**
 * What tokenizer a directory's files make.
 *
 * @param text tokenizer.json as it is written
 * @throws InvalidArgument naming file and part for what transformers raises at, for what is not read here, and for ids that
 *   would depend on chance
 */
export function designTokenizer(files: ParsedFiles, text: string): TokenizerDesign {
  const name = tokenizerClass(files);
  const { config } = files;
  if (config.split_special_tokens) throw refused("tokenizer_config.json", "split_special_tokens", "is not read; remove it");
  if (config.fix_mistral_regex)
    throw refused("tokenizer_config.json", "fix_mistral_regex", "is not read; put the mended pattern into tokenizer.json");
  const { fast_tokenizer_files: versions } = config;
  if (Array.isArray(versions) && versions.some((file) => file !== "tokenizer.json"))
    throw refused("tokenizer_config.json", "fast_tokenizer_files", "names further tokenizer files; keep tokenizer.json alone");
  return name === "TokenizersBackend" ? asWritten(files, text) : rebuilt(files, name);
}

/** Builds a tokenizer in the Rust core. @throws InvalidArgument naming the part of tokenizer.json that the core does not read */
export function buildTokenizer({ plan }: TokenizerDesign): NativeTokenizer {
  try {
    return NativeTokenizer.of(plan);
  } catch (error) {
    if (!(error instanceof NativeFailure)) throw error;
    const { part, message } = error.detail;
    const field = part ?? "model";
    throw new RetortError("InvalidArgument", `tokenizer.json: ${field} cannot be read: ${message}; save it with tokenizers 0.23`, {
      fieldPath: field,
      cause: error,
    });
  }
}

/** tokenizer.json as it is, with the tokens that the other files name. */
function asWritten(files: ParsedFiles, json: string): TokenizerDesign {
  const { tokenizer } = files;
  const { dropout } = isRecord(tokenizer.model) ? tokenizer.model : {};
  if (typeof dropout === "number" && dropout > 0)
    throw refused("tokenizer.json", "model.dropout", `is ${dropout}: ids would depend on chance; set it to null`);
  const special = specialTokens(files);
  const present = writtenTokens(tokenizer);
  const texts = present.map(({ content }) => content);
  const batch = tokensToAdd(special, texts);
  const added = lastOf([...present, ...batch]);
  const postProcessor: PostProcessor | undefined = tokenizer.post_processor == null ? plain : undefined;
  return { plan: { json, batches: batch.length ? [batch] : [], postProcessor, added: [...added.keys()] }, special, added, tokenizer };
}

const plain: PostProcessor = { type: "template", single: "$A:0", pair: "$A:0 $B:1", tokens: [] };

/** Vocabulary, merges and post-processor of tokenizer.json under the rules of a class of transformers. */
function rebuilt(files: ParsedFiles, name: string): TokenizerDesign {
  const rebuild = rebuilds.get(name);
  const written = isRecord(files.tokenizer.model) ? files.tokenizer.model : {};
  if (!rebuild || !fits(rebuild, written)) throw foreign(name, rebuild, written);
  const special = specialTokens(files, rebuild.defaults, rebuild.extras);
  const { config } = files;
  const text = (token: string) => textOf(special.named.get(token) ?? "None");
  const unknown = special.named.get("unk_token");
  const tokenizer: Json = {
    version: "1.0",
    added_tokens: [],
    normalizer: rebuild.normalizer(config, charsmapOf(files.tokenizer.normalizer)),
    pre_tokenizer: rebuild.preTokenizer(config),
    post_processor: files.tokenizer.post_processor ?? null,
    decoder: rebuild.decoder(config),
    model: {
      type: rebuild.model,
      ...rebuild.rules(config, unknown === undefined ? undefined : textOf(unknown)),
      vocab: written.vocab,
      ...(rebuild.model === "BPE" ? { merges: written.merges ?? [] } : {}),
    },
  };
  const first = tokensToAdd(special, []);
  const batches = [first, ...(rebuild.again ? [allAgain(special, rebuild.again, first)] : [])].filter(({ length }) => length > 0);
  const postProcessor = rebuild.postProcessor?.(config, text) ?? (tokenizer.post_processor === null ? plain : undefined);
  const added = lastOf(batches.flat());
  const plan = { json: JSON.stringify(tokenizer), batches, postProcessor, added: [...added.keys()] };
  return { plan, special, added, tokenizer };
}

/** All special tokens once more: by their text alone, or with the flags that they were named with. */
function allAgain(special: SpecialTokens, how: "plain" | "flags", first: readonly AddedToken[]): AddedToken[] {
  const tokens = [...special.named.values(), ...special.extra];
  if (how === "flags") return tokens.map((token) => withFlags(token, true));
  const texts = new Set([...tokens.map(textOf)]);
  return [...texts].map((content) => withFlags(content, true)).filter((token) => first.length > 0 || token.content !== "");
}

/** Whether a class finds what it reads in the model of tokenizer.json. */
function fits({ model }: Rebuild, written: Json): boolean {
  if (model === "Unigram") return Array.isArray(written.vocab);
  if (!isRecord(written.vocab)) return false;
  return model !== "BPE" || Array.isArray(written.merges);
}

function foreign(name: string, rebuild: Rebuild | undefined, written: Json): RetortError {
  const why = rebuild
    ? `makes a ${rebuild.model} model of its own, which the ${String(written.type)} model of tokenizer.json does not give`
    : "makes a tokenizer of its own of the vocabulary in tokenizer.json, by rules that are not known here";
  return refused(
    "tokenizer_config.json",
    "tokenizer_class",
    `${name} ${why}; if tokenizer.json says all, set it to "PreTrainedTokenizerFast" here and in the directory that Python reads`,
  );
}

/** Added tokens that tokenizer.json itself holds. */
function writtenTokens({ added_tokens: tokens }: Json): AddedToken[] {
  return Array.isArray(tokens) ? tokens.filter(isRecord).map((token) => token as unknown as AddedToken) : [];
}

const lastOf = (tokens: readonly AddedToken[]): ReadonlyMap<string, AddedToken> => new Map(tokens.map((token) => [token.content, token]));

/** The first precompiled charsmap among normalizers. */
function charsmapOf(normalizer: unknown): unknown {
  if (!isRecord(normalizer)) return undefined;
  const all = normalizer.type === "Sequence" && Array.isArray(normalizer.normalizers) ? normalizer.normalizers : [normalizer];
  return all.filter(isRecord).find(({ type }) => type === "Precompiled")?.precompiled_charsmap;
}

const refused = (file: string, field: string, what: string): RetortError =>
  new RetortError("InvalidArgument", `${file}: ${field} ${what}`, { fieldPath: field });
