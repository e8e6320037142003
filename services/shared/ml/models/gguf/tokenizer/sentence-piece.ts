import type { Json } from "../../config/fields.js";
import type { GgufFields } from "../header/fields.js";
import { listedMerges } from "./merges.js";
import type { TokenizerParts } from "./parts.js";
import type { GgufToken } from "./vocabulary.js";

const replaced = "▁";

/**
 * A SentencePiece BPE with scores (`tokenizer.ggml.model` llama): spaces are written ▁, characters that are no tokens fall
 * back to bytes, and the merges are those that the vocabulary implies, best score first, unless the file lists them.
 *
 * @param isGemma Gemma's texts get no space before them, and its merges go by the order of the tokens
 * @throws InvalidArgument naming a key
 */
export function sentencePiece(ggml: GgufFields, tokens: readonly GgufToken[], isGemma: boolean): TokenizerParts {
  if (ggml.flag("remove_extra_whitespaces", false)) throw ggml.refused("remove_extra_whitespaces", "false");
  if (ggml.get("precompiled_charsmap") !== undefined) throw ggml.refused("precompiled_charsmap", "none in a model of this kind");
  const prefix = ggml.flag("add_space_prefix", !isGemma);
  if (isGemma && prefix) throw ggml.refused("add_space_prefix", "false in a Gemma");
  const pieces = isGemma ? tokens.map(respelled) : tokens;
  const vocab = new Map(pieces.map(({ id, text }) => [text, id]));
  const spaces: Json = { type: "Replace", pattern: { String: replaced }, content: " " };
  const metaspace: Json = { type: "Metaspace", replacement: replaced, prepend_scheme: prefix ? "first" : "never", split: false };
  const strip: Json[] = prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : [];
  return {
    tokens: pieces,
    kind: "SentencePiece BPE",
    addBos: true,
    normalizer: isGemma ? { type: "Replace", pattern: { String: " " }, content: replaced } : null,
    preTokenizer: isGemma ? { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false } : metaspace,
    decoder: { type: "Sequence", decoders: [spaces, { type: "ByteFallback" }, { type: "Fuse" }, ...strip] },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: pieces.find(({ kind }) => kind === "unknown")?.text ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(vocab),
      merges: listedMerges(ggml, vocab) ?? impliedMerges(pieces, vocab, isGemma ? (id) => -id : scoresOf(ggml)),
    },
  };
}

/** Runs of spaces, which Gemma's files hold as spaces. */
const respelled = (token: GgufToken): GgufToken =>
  /^ +$/.test(token.text) ? { ...token, kind: "normal", text: replaced.repeat(token.text.length) } : token;

function scoresOf(ggml: GgufFields): (id: number) => number {
  const scores = ggml.numbers("scores");
  const count = ggml.texts("tokens")?.length ?? 0;
  if (scores?.length !== count) throw ggml.refused("scores", `a list of ${count} numbers, one for each token`);
  return (id) => scores[id] ?? 0;
}

interface Merge {
  readonly left: string;
  readonly right: string;
  readonly score: number;
  /** Lengths in characters. */
  readonly lengths: readonly [number, number];
}

/** All pairs of tokens that are a token together, best score first, the longer left part first among equals. */
function impliedMerges(
  tokens: readonly GgufToken[],
  vocab: ReadonlyMap<string, number>,
  scoreOf: (id: number) => number,
): [string, string][] {
  const merges: Merge[] = [];
  for (const { id, text, kind } of tokens) {
    // SentencePiece never makes these of text.
    if (kind === "control" || kind === "unknown" || kind === "byte") continue;
    merges.push(...partings([...text], scoreOf(id), vocab));
  }
  merges.sort((a, b) => b.score - a.score || b.lengths[0] - a.lengths[0] || b.lengths[1] - a.lengths[1]);
  return merges.map(({ left, right }) => [left, right]);
}

/** The ways to part a token into two tokens, in order of their ids. */
function partings(characters: readonly string[], score: number, vocab: ReadonlyMap<string, number>): Merge[] {
  const found: (Merge & { readonly ids: readonly [number, number] })[] = [];
  for (let at = 1; at < characters.length; at++) {
    const [left, right] = [characters.slice(0, at).join(""), characters.slice(at).join("")];
    const [first, second] = [vocab.get(left), vocab.get(right)];
    if (first === undefined || second === undefined) continue;
    found.push({ left, right, score, lengths: [at, characters.length - at], ids: [first, second] });
  }
  return found.sort((a, b) => a.ids[0] - b.ids[0] || a.ids[1] - b.ids[1]);
}
