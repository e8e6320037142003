import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ChatMessage, Tokenizer } from "../../services/shared/ml/text/tokenizer.js";

interface Expected {
  readonly first: readonly (readonly [plain: number[], special: number[], back: string])[];
  readonly digest: string;
  readonly size: number;
  readonly chat?: { readonly messages: readonly ChatMessage[]; readonly ids: number[] };
}

const read = (name: string) => JSON.parse(readFileSync(`test/golden/fixtures/tokenizers/${name}.json`, "utf8")) as unknown;
const texts = read("texts") as string[];
const expected = read("real") as Record<string, Expected>;
const folder = process.env.RETORT_REAL_TOKENIZERS ?? "";

describe("published tokenizers as transformers 5.24 reads them", () => {
  const present = Object.keys(expected).filter((name) => folder !== "" && existsSync(join(folder, name, "tokenizer.json")));
  const missing = Object.keys(expected).filter((name) => !present.includes(name));
  if (missing.length > 0)
    console.warn(
      `skipped: ${missing.join(", ")}; make them with test/golden/tokenizers/real.py and name their folder in RETORT_REAL_TOKENIZERS`,
    );

  it.each(Object.keys(expected))("%s: ids and texts of 200 texts, and of a conversation", async (name) => {
    if (!present.includes(name)) return;
    const tokenizer = await Tokenizer.load(join(folder, name));
    const { first, digest, size, chat } = expected[name]!;
    const plain = tokenizer.encodeAll(texts);
    const special = tokenizer.encodeAll(texts, { addSpecial: true });
    const records = tokenizer.decodeAll(plain).map((back, i) => [[...plain[i]!], [...special[i]!], back] as const);
    expect(records.slice(0, first.length)).toEqual(first);
    const lines = records.map(([ids, more, back]) => `${ids.join(",")}|${more.join(",")}|${back}`);
    expect(createHash("sha256").update(lines.join("\n")).digest("hex")).toBe(digest);
    expect(tokenizer.size).toBe(size);
    if (chat) expect([...tokenizer.encode(tokenizer.applyChatTemplate(chat.messages))]).toEqual(chat.ids);
  });
});
