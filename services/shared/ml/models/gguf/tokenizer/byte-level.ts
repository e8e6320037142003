import type { Json } from "../../config/fields.js";
import type { GgufFields } from "../header/fields.js";
import { listedMerges } from "./merges.js";
import type { TokenizerParts } from "./parts.js";
import { preTokenizerOf } from "./splits.js";
import type { GgufToken } from "./vocabulary.js";

/**
 * A byte-level BPE (`tokenizer.ggml.model` gpt2): tokens are spelled in an alphabet of 256 characters, one for each byte,
 * and the file lists the merges.
 *
 * @throws InvalidArgument naming a key; DataLoss for merges of what are no tokens
 */
export function byteLevel(ggml: GgufFields, tokens: readonly GgufToken[], warnings: string[]): TokenizerParts {
  const { normalizer, preTokenizer, ignoreMerges, addBos } = preTokenizerOf(ggml, warnings);
  const vocab = new Map(tokens.map(({ id, text, kind }) => [kind === "normal" ? spelled(text) : text, id]));
  const merges = listedMerges(ggml, vocab);
  if (!merges) throw ggml.refused("merges", "the list of merges, which a byte-level tokenizer cannot do without");
  return {
    tokens,
    kind: `byte-level BPE (${ggml.text("pre", "default")})`,
    addBos,
    normalizer,
    preTokenizer,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { ...bpe, unk_token: null, ignore_merges: ignoreMerges, vocab: Object.fromEntries(vocab), merges },
  };
}

const bpe: Json = {
  type: "BPE",
  dropout: null,
  continuing_subword_prefix: "",
  end_of_word_suffix: "",
  fuse_unk: false,
  byte_fallback: false,
};

/** The alphabet: printable bytes of Latin-1 are themselves, the others the characters from 256 on. */
const alphabet: readonly string[] = (() => {
  let next = 256;
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

const letters: ReadonlySet<string> = new Set(alphabet);

/** A token in the alphabet; some files have words that their converter wrote as plain text. */
function spelled(text: string): string {
  if ([...text].every((character) => letters.has(character))) return text;
  return Array.from(Buffer.from(text), (byte) => alphabet[byte]).join("");
}
