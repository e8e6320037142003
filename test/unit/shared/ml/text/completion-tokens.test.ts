import { characterTokenizer } from "../../../../../services/shared/ml/text/character-tokenizer.js";
import { completionTokens, spelledLengths, writtenTokens } from "../../../../../services/shared/ml/text/completion-tokens.js";
import { tokenSpelling } from "../../../../../services/shared/ml/text/tokenizer/token-bytes.js";
import type { Tokenizer } from "../../../../../services/shared/ml/text/tokenizer.js";
import { wordTokenizer } from "../../../../../services/shared/ml/text/word-tokenizer.js";
import { fixtureTokenizer } from "../../../../support/models/encoder-fixtures.js";

const kinds = ["bytes", "bytes-start", "metaspace", "unigram"] as const;
const bytes = fixtureTokenizer("bytes");
const utf8 = (text: string) => Buffer.from(text);

/** A text's tokens behind a prompt, as another tokenizer reads it. */
const read = (tokenizer: Tokenizer, text: string, { prompt = "answer:\n", endId = undefined as number | undefined } = {}) =>
  completionTokens(tokenizer, [{ promptIds: tokenizer.encode(prompt), text, endId }])[0]!;

describe("tokenSpelling()", () => {
  it.each(kinds)("spells what %s decodes, token by token", (kind) => {
    const tokenizer = fixtureTokenizer(kind);
    const text = "def f(x): Größe naive cafe 3+4*5";
    const ids = tokenizer.encode(`a\n${text}`);
    const spelled = Buffer.concat([...ids].map((id) => tokenizer.bytesOf(id) ?? Buffer.of()));
    expect(spelled.toString().trimStart()).toBe(tokenizer.decode(ids).trimStart());
  });

  it("spells the parts of a character by their bytes", () => {
    const ids = bytes.encode("😀");
    expect(ids.length).toBeGreaterThan(1);
    expect(Buffer.concat([...ids].map((id) => bytes.bytesOf(id)!))).toEqual(utf8("😀"));
    const fallback = tokenSpelling({ type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }] });
    expect([...fallback("<0xE2>")]).toEqual([0xe2]);
  });

  it("knows no bytes of special tokens, and of ids without a token", () => {
    expect(bytes.bytesOf(bytes.tokenToId("<|im_end|>")!)).toBeUndefined();
    expect(bytes.bytesOf(1_000_000)).toBeUndefined();
  });

  it("takes a token that was added with characters that stand for no byte as its own text", () => {
    const spell = tokenSpelling({ type: "ByteLevel" });
    expect(Buffer.from(spell("tool call 你好")).toString()).toBe("tool call 你好");
    expect(Buffer.from(spell("Ġword")).toString()).toBe(" word");
  });

  it.each([[{ type: "WordPiece" }], [{ type: "CTC" }], [null], [{ type: "Replace", pattern: { Regex: "a+" }, content: "b" }]])(
    "refuses %j, which doesn't spell token by token",
    (decoder) => {
      expect(() => tokenSpelling(decoder)).toThrow(/does not spell token by token/);
    },
  );
});

describe("completionTokens()", () => {
  it.each(kinds.filter((kind) => kind !== "unigram"))("reads a text behind a prompt in tokens of %s that spell it", (kind) => {
    const tokenizer = fixtureTokenizer(kind);
    for (const text of ["The weather in Paris", " three hundred", "x", "\n\nGröße 😀"]) {
      const own = read(tokenizer, text, { endId: 5 });
      if (typeof own === "string") throw new Error(own);
      expect(own.byteLengths.reduce((a, b) => a + b, 0)).toBe(utf8(text).length);
      expect([own.ids.at(-1), own.byteLengths.at(-1)]).toEqual([5, 0]);
      expect(own.ids).toHaveLength(own.byteLengths.length);
    }
  });

  it("reads it as it goes on from the prompt", () => {
    const text = "hundred";
    const words = wordTokenizer(["three", "hundred"]);
    const own = completionTokens(words, [{ promptIds: words.encode("three"), text: ` ${text}`, endId: undefined }])[0]!;
    expect(own).toEqual({ ids: words.encode(`three ${text}`).slice(1), byteLengths: Uint16Array.of(8) });
  });

  it("has the end token alone for an empty answer", () => {
    expect(read(bytes, "", { endId: 9 })).toEqual({ ids: Int32Array.of(9), byteLengths: Uint16Array.of(0) });
  });

  it("leaves out what is left of a character that was cut, and the end token behind it", () => {
    const whole = read(bytes, "ab");
    expect(read(bytes, "ab\uFFFD\uFFFD", { endId: 9 })).toEqual(whole);
    expect(read(bytes, "\uFFFD")).toMatch(/no text/);
  });

  it("stops where a special token's name stands in the text", () => {
    const own = read(bytes, "say <|im_end|> now", { endId: 9 });
    if (typeof own === "string") throw new Error(own);
    expect(own.byteLengths.reduce((a, b) => a + b, 0)).toBe(utf8("say ").length);
    expect([...own.ids]).not.toContain(9);
    expect(read(bytes, "<|im_end|>")).toMatch(/changes the completion from its first character on/);
  });

  it("stops where a normalizer changes the text", () => {
    const own = read(bytes, "cafe\u0301 x");
    if (typeof own === "string") throw new Error(own);
    expect(own.byteLengths.reduce((a, b) => a + b, 0)).toBeLessThan(utf8("cafe\u0301").length);
  });
});

describe("writtenTokens()", () => {
  const ids = bytes.encode("The answer😀");
  const end = bytes.tokenToId("<|im_end|>")!;
  const sum = (lengths: Uint16Array) => lengths.reduce((a, b) => a + b, 0);

  it("has all of a text, and 0 for its end token", () => {
    const { byteLengths: lengths, noText } = writtenTokens(bytes, { ids: Int32Array.of(...ids, end), text: "The answer😀", ended: true });
    expect(noText).toBe(false);
    expect([lengths.length, lengths.at(-1), sum(lengths)]).toEqual([ids.length + 1, 0, utf8("The answer😀").length]);
    const empty = { ids: Int32Array.of(end), text: "", ended: true };
    expect(writtenTokens(bytes, empty)).toEqual({ byteLengths: Uint16Array.of(0), beginsWord: Uint8Array.of(1), noText: false });
  });

  it("ends before the bytes of a character that was cut", () => {
    const cut = ids.slice(0, -1);
    const own = writtenTokens(bytes, { ids: cut, text: bytes.decode(cut), ended: false });
    expect([sum(own.byteLengths), own.noText]).toEqual([utf8("The answer").length, false]);
    // One that the student itself leaves unfinished is none.
    const left = Int32Array.of(...cut, end);
    expect(writtenTokens(bytes, { ids: left, text: bytes.decode(left), ended: true })).toEqual({ ...own, noText: true });
  });

  it("ends before a special token within the text, and has no end token then", () => {
    const odd = Int32Array.of(...bytes.encode("ab"), end, ...bytes.encode("cd"), end);
    const { byteLengths, noText } = writtenTokens(bytes, { ids: odd, text: bytes.decode(odd), ended: true });
    expect([byteLengths.length, noText]).toEqual([bytes.encode("ab").length, true]);
    const last = Int32Array.of(...bytes.encode("ab"), end);
    expect(writtenTokens(bytes, { ids: last, text: "ab", ended: false })).toMatchObject({ byteLengths, noText: true });
  });

  it("takes a space that the decoder leaves out at the beginning of a text as none", () => {
    const metaspace = fixtureTokenizer("metaspace");
    const own = metaspace.encode("yes");
    expect(metaspace.decode(own)).toBe("yes");
    expect(sum(writtenTokens(metaspace, { ids: own, text: "yes", ended: false }).byteLengths)).toBe(3);
    expect(sum(spelledLengths(metaspace, own, "yes"))).toBe(0);
  });

  it("is that of the characters for a tokenizer of characters", () => {
    const characters = characterTokenizer("ab ");
    const ids = characters.encode("ab a");
    expect(writtenTokens(characters, { ids, text: "ab a", ended: false })).toEqual({
      byteLengths: Uint16Array.of(1, 1, 1, 1),
      beginsWord: Uint8Array.of(0, 0, 1, 0),
      noText: false,
    });
  });
});
