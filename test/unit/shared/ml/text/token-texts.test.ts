import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tokenTexts } from "../../../../../services/shared/ml/text/token-texts.js";
import { Tokenizer } from "../../../../../services/shared/ml/text/tokenizer.js";

const golden = "test/golden/fixtures";
const tokenizerIn = (directory: string): Tokenizer => {
  const names = readdirSync(join(golden, directory)).filter((name) => name.endsWith(".json"));
  return new Tokenizer(Object.fromEntries(names.map((name) => [name, readFileSync(join(golden, directory, name), "utf8")])));
};
const texts = ["Hello, how are you?  Fine.", "naïve café – 12 € 🙂🙂 done", "一二三 four", "a"];

describe("tokenTexts()", () => {
  it.each(["encoder/unigram", "t5/t5", "t5/flan"])("keeps what tokens of %s have between and within them", (directory) => {
    const tokenizer = tokenizerIn(directory);
    const sequences = texts.map((text) => tokenizer.encode(text));
    const found = tokenTexts(tokenizer, sequences);
    expect(found.map((tokens) => tokens.length)).toEqual(sequences.map(({ length }) => length));
    expect(found.map((tokens) => tokens.join(""))).toEqual(sequences.map((ids) => tokenizer.decode(ids, { skipSpecial: false })));
  });

  it("writes a character of several tokens at its last one", () => {
    // Bytes as tokens: decoded together they are characters, and in part U+FFFD.
    const decodeAll = (all: readonly Iterable<number>[]) => all.map((ids) => new TextDecoder().decode(Uint8Array.from(ids)));
    const bytes = Int32Array.from(new TextEncoder().encode("a€🙂"));
    expect(tokenTexts({ decodeAll }, [bytes, new Int32Array(0), bytes.subarray(0, 2)])).toEqual([
      ["a", "", "", "€", "", "", "", "🙂"],
      [],
      ["a", "�"],
    ]);
  });
});
