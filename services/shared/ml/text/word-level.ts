import { Tokenizer } from "./tokenizer.js";

/**
 * A tokenizer of a closed vocabulary: <pad> (0), <s> (1), </s> (2), then `tokens`. Text is split by `pattern`, a regular
 * expression of one token, empty for single characters; what is not in the vocabulary becomes <unk>, which is <pad>.
 * Its files load in Hugging Face transformers, and decoding gives back the text as it was.
 *
 * @param chatTemplate how conversations are written, in Jinja; absent: they aren't
 */
export function wordLevelTokenizer(tokens: readonly string[], pattern: string, chatTemplate?: string): Tokenizer {
  const specials = ["<pad>", "<s>", "</s>"];
  const vocab = Object.fromEntries([...specials, ...tokens].map((token, id) => [token, id]));
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
    pre_tokenizer: { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false },
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
    ...(chatTemplate === undefined ? {} : { chat_template: chatTemplate }),
  };
  return new Tokenizer({ "tokenizer.json": JSON.stringify(model), "tokenizer_config.json": JSON.stringify(config, null, 2) });
}
