import { counted } from "../../../../base/counted.js";
import { RetortError } from "../../../../base/errors.js";
import type { GgufFields } from "../header/fields.js";

/** What a token is: the types that a file may give to one. */
export type TokenKind = "normal" | "unknown" | "control" | "userDefined" | "unused" | "byte";

/** A token of a file. */
export interface GgufToken {
  readonly id: number;
  readonly text: string;
  readonly kind: TokenKind;
}

const kinds: readonly (TokenKind | undefined)[] = [undefined, "normal", "unknown", "control", "userDefined", "unused", "byte"];

/**
 * The tokens of a file. What fills the vocabulary up to the rows of the embedding ([PAD7] at id 7, unused) is no token.
 *
 * @param ggml the metadata below `tokenizer.ggml.`
 * @param rows of the embedding; more tokens than rows are refused
 * @throws InvalidArgument or DataLoss naming the key
 */
export function tokensOf(ggml: GgufFields, rows: number): GgufToken[] {
  const texts = ggml.texts("tokens");
  if (!texts || texts.length === 0) throw ggml.refused("tokens", "the list of all tokens; the file has no tokenizer of its own");
  if (texts.length > rows)
    throw new RetortError("DataLoss", `${ggml.path} has ${counted(texts.length, "token")}, and token_embd.weight has ${rows} rows`);
  const types = ggml.numbers("token_type");
  if (types && types.length !== texts.length) throw ggml.refused("token_type", `a list of ${texts.length} numbers, one for each token`);
  const seen = new Map<string, number>();
  const tokens = texts.map((text, id): GgufToken => {
    // As llama.cpp names it.
    const named = text === "" ? `[EMPTY_${id}]` : text;
    const before = seen.get(named);
    if (before !== undefined)
      throw new RetortError("DataLoss", `${ggml.path}: tokens ${before} and ${id} are both ${JSON.stringify(named)}`);
    seen.set(named, id);
    return { id, text: named, kind: kindOf(types?.[id], ggml) };
  });
  return tokens.filter(({ id, text, kind }) => !(kind === "unused" && text === `[PAD${id}]`));
}

function kindOf(type: number | undefined, ggml: GgufFields): TokenKind {
  const kind = type === undefined ? "normal" : kinds[type];
  if (!kind) throw ggml.refused("token_type", "numbers from 1 to 6");
  return kind;
}
