import { NativeFailure, NativeTokenizer } from "./native/native-tokenizer.js";

/**
 * The first piece of texts that the model has no token for: a word of the pre-tokenizer, or the one character of it that
 * is to blame; undefined if that cannot be told.
 *
 * @param model the model of tokenizer.json
 * @param index which of the texts failed, if that is known
 */
export function unknownPiece(native: NativeTokenizer, model: unknown, texts: readonly string[], index = 0): string | undefined {
  const json = JSON.stringify({ version: "1.0", added_tokens: [], model });
  const bare = NativeTokenizer.of({ json, batches: [], added: [] });
  const first = (pieces: readonly string[]): string | undefined => {
    try {
      bare.encode(pieces, false);
      return undefined;
    } catch (error) {
      return error instanceof NativeFailure ? pieces[error.detail.index ?? 0] : undefined;
    }
  };
  for (const text of texts.slice(index)) {
    const piece = first(native.pieces(text));
    if (piece === undefined) continue;
    const { type } = model as { type?: unknown };
    return type === "BPE" || type === "Unigram" ? (first([...piece]) ?? piece) : piece;
  }
  return undefined;
}
