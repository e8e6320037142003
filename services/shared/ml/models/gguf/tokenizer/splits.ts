import type { Json } from "../../config/fields.js";
import type { GgufFields } from "../header/fields.js";

/** How a byte-level vocabulary's text is split before its merges, as llama.cpp and the original tokenizers do. */
export interface PreTokenizer {
  readonly normalizer: Json | null;
  readonly preTokenizer: Json;
  /** Whether a word that is a token as a whole is never split. */
  readonly ignoreMerges: boolean;
  /** Whether a beginning of sequence is added where the file does not say. */
  readonly addBos: boolean;
}

const split = (pattern: string): Json => ({ type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false });
const byteLevel = (useRegex: boolean): Json => ({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: useRegex });
const sequence = (...pretokenizers: Json[]): Json => ({ type: "Sequence", pretokenizers });

/** Splits by expressions of its own, one after the other. */
const by = (...patterns: string[]): PreTokenizer => ({
  normalizer: null,
  preTokenizer: sequence(...patterns.map(split), byteLevel(false)),
  ignoreMerges: false,
  addBos: false,
});

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const rest = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const words = "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
const cased = (end: string): string => `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${end}|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${end}`;
const restWithSlash = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** GPT-2's own expression is part of the byte-level pre-tokenizer. */
const gpt2: PreTokenizer = { ...by(), preTokenizer: byteLevel(true) };
const glm4 = by(`${contractions}${words}|\\p{N}{1,3}${rest}`);
const llama3: PreTokenizer = { ...glm4, ignoreMerges: true, addBos: true };
const stablelm2 = by(`${contractions}${words}|\\p{N}${rest}`);
const qwen2: PreTokenizer = { ...stablelm2, normalizer: { type: "NFC" } };
const smollm: PreTokenizer = {
  ...by(),
  preTokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)),
};
const gpt4o = by(`${cased(`${contractions}?`)}|\\p{N}{1,3}${restWithSlash}`);
const tekken: PreTokenizer = { ...by(`${cased("")}|\\p{N}${restWithSlash}`), ignoreMerges: true, addBos: true };
/** What llama.cpp takes for files whose converter did not know the tokenizer. */
const unnamed: PreTokenizer = {
  ...by(),
  preTokenizer: sequence(
    split("[\\p{P}\\$\\+<=>\\^~\\|]+"),
    split("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"),
    split("\\p{N}+"),
    split("[0-9][0-9][0-9]"),
    byteLevel(false),
  ),
};

/** By `tokenizer.ggml.pre`, as llama.cpp has them. */
const byName: Readonly<Record<string, PreTokenizer>> = {
  ...all(gpt2, "gpt-2", "phi-2", "gigachat", "a.x-4.0", "mellum", "exaone4", "mpt", "olmo", "jais", "trillion"),
  ...all(llama3, "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
  ...all({ ...llama3, ignoreMerges: false, addBos: false }, "dbrx", "smaug-bpe"),
  ...all(qwen2, "qwen2", "deepseek-r1-qwen"),
  ...all(smollm, "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"),
  ...all(gpt4o, "gpt-4o", "llama4", "kanana2"),
  ...all(glm4, "glm4", "chatglm-bpe"),
  ...all(stablelm2, "stablelm2", "kormo", "megrez"),
  ...{ default: unnamed, tekken },
};

function all(preTokenizer: PreTokenizer, ...names: string[]): Record<string, PreTokenizer> {
  return Object.fromEntries(names.map((name) => [name, preTokenizer]));
}

/**
 * How a byte-level vocabulary's text is split.
 *
 * @param ggml the metadata below `tokenizer.ggml.`
 * @param warnings takes a sentence where the file does not say how
 * @throws InvalidArgument naming the value and those that are supported
 */
export function preTokenizerOf(ggml: GgufFields, warnings: string[]): PreTokenizer {
  const name = ggml.text("pre", "default");
  const known = Object.hasOwn(byName, name) ? byName[name] : undefined;
  if (!known) throw ggml.refused("pre", `${Object.keys(byName).sort().join(", ")}; or take the model's Hugging Face directory`);
  if (name === "default")
    warnings.push(
      `${ggml.path}: tokenizer.ggml.pre does not name the tokenizer; text is split as llama.cpp splits it then, which may not be how the model was trained: compare with the model's own tokenizer.json`,
    );
  return known;
}
