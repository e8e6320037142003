import { Tokenizer } from "./tokenizer.js";

/**
 * A tokenizer with one token per character of `alphabet`, after <pad> (0), <s> (1) and </s> (2): for generated tasks.
 * Its files load in Hugging Face transformers. Characters outside the alphabet become <unk>, which is <pad>.
 */
export function characterTokenizer(alphabet: string): Tokenizer {
  const specials = ["<pad>", "<s>", "</s>"];
  const characters = [...new Set(alphabet)];
  const vocab = Object.fromEntries([...specials, ...characters].map((token, id) => [token, id]));
  const added = specials.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const model = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: { type: "Split", pattern: { Regex: "" }, behavior: "Isolated", invert: false },
    post_processor: null,
    decoder: { type: "Fuse" },
    model: { type: "WordLevel", vocab, unk_token: "<pad>" },
  };
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: "<s>",
    eos_token: "</s>",
    pad_token: "<pad>",
    unk_token: "<pad>",
    clean_up_tokenization_spaces: false,
  };
  return new Tokenizer({ "tokenizer.json": JSON.stringify(model), "tokenizer_config.json": JSON.stringify(config, null, 2) });
}
