import { characterTokenizer } from "../../../../../services/shared/ml/text/character-tokenizer.js";
import { latin1, TokenCrossing } from "../../../../../services/shared/ml/text/crossing.js";
import type { Tokenizer } from "../../../../../services/shared/ml/text/tokenizer.js";
import { wordTokenizer } from "../../../../../services/shared/ml/text/word-tokenizer.js";
import { fixtureTokenizer } from "../../../../support/models/encoder-fixtures.js";

const characters = characterTokenizer(" abcdefghijklmnopqrstuvwxyz");
const words = wordTokenizer(["six", "sixty", "one"]);
const idOf = (tokenizer: Tokenizer, token: string) => tokenizer.tokenToId(token);

describe("TokenCrossing", () => {
  it("says which of the writer's tokens begins at each of its borders within a token of the reader, and nothing elsewhere", () => {
    const crossing = new TokenCrossing(words, characters);
    expect([0, 1, 2, 3, 4].map((at) => crossing.following(" six", at))).toEqual([
      ...[" ", "s", "i", "x"].map((token) => idOf(characters, token)),
      undefined,
    ]);
    expect(crossing.textOf(idOf(words, " sixty")!)).toBe(" sixty");
    expect(crossing.longest).toBe(" sixty".length);
  });

  it("takes the token that writes all of it, though longer ones begin so", () => {
    const crossing = new TokenCrossing(words, words);
    expect(crossing.following(" six", 0)).toBe(idOf(words, " six"));
    expect(crossing.following(" six", 1)).toBeUndefined();
  });

  it("leaves open what may yet become a longer token of the writer, and what it has no token for", () => {
    const crossing = new TokenCrossing(characters, words);
    expect(crossing.following("on", 0)).toBe("open");
    expect(crossing.following("q", 0)).toBe("open");
  });

  it.each(["bytes", "metaspace"] as const)("has each token of %s be itself", (kind) => {
    const tokenizer = fixtureTokenizer(kind);
    const crossing = new TokenCrossing(tokenizer, tokenizer);
    for (let id = 0; id < tokenizer.size; id++) {
      const text = crossing.textOf(id);
      if (text === undefined) continue;
      const found = crossing.following(text, 0);
      expect(typeof found).toBe("number");
      // Of tokens that write the same, the one that the tokenizer takes.
      expect(latin1(tokenizer.bytesOf(Number(found))!)).toBe(text);
      for (let at = 1; at < text.length; at++) expect(crossing.following(text, at)).toBeUndefined();
    }
  });

  it("cuts a character where the writer has its bytes", () => {
    const [bytes, metaspace] = [fixtureTokenizer("bytes"), fixtureTokenizer("metaspace")];
    const crossing = new TokenCrossing(metaspace, bytes);
    const text = latin1(Buffer.from("é"));
    expect(text).toHaveLength(2);
    const first = crossing.following(text, 0);
    expect(typeof first).toBe("number");
    expect(text.startsWith(latin1(bytes.bytesOf(Number(first))!))).toBe(true);
  });
});
