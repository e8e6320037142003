import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { RetortError } from "../../services/shared/base/errors.js";
import { Tokenizer } from "../../services/shared/ml/text/tokenizer.js";

type Record3 = readonly [plain: number[], special: number[], back: string];

interface Expected {
  readonly raises?: string;
  readonly specials: Readonly<Record<string, number | null>>;
  readonly size: number;
  readonly first: readonly (Record3 | null)[];
  readonly digest: string;
  readonly pair: readonly [ids: number[], typeIds: number[]] | null;
}

const read = (name: string) => JSON.parse(readFileSync(`test/golden/fixtures/tokenizers/${name}.json`, "utf8")) as unknown;
const texts = read("texts") as string[];
const { models, kinds } = read("kinds") as {
  models: Record<string, object>;
  kinds: Record<string, Record<string, Record<string, unknown>>>;
};
const expected = read("expected") as Record<string, Expected>;

function filesOf(name: string): Record<string, string> {
  const files = kinds[name]!;
  const tokenizer = files["tokenizer.json"]!;
  const whole = { ...files, "tokenizer.json": { ...tokenizer, model: models[tokenizer.model as string] } };
  return Object.fromEntries(Object.entries(whole).map(([path, value]) => [path, JSON.stringify(value)]));
}

/** What the tokenizer makes of every text, null where it refuses. */
function recordsOf(tokenizer: Tokenizer): (Record3 | null)[] {
  try {
    const plain = tokenizer.encodeAll(texts);
    const special = tokenizer.encodeAll(texts, { addSpecial: true });
    const back = tokenizer.decodeAll(plain);
    return texts.map((_, i) => [[...plain[i]!], [...special[i]!], back[i]!]);
  } catch (error) {
    expect(error).toBeInstanceOf(RetortError);
  }
  return texts.map((text) => {
    try {
      const plain = tokenizer.encode(text);
      return [[...plain], [...tokenizer.encode(text, { addSpecial: true })], tokenizer.decode(plain)];
    } catch (error) {
      expect(error).toMatchObject({ code: "InvalidArgument", fieldPath: "text" });
      return null;
    }
  });
}

const line = (record: Record3 | null): string => (record ? `${record[0].join(",")}|${record[1].join(",")}|${record[2]}` : "raises");

const names = Object.keys(kinds);
const loading = names.filter((name) => !expected[name]!.raises);

describe("tokenizers as transformers 5.24 reads them", () => {
  it.each(loading)("%s: ids, special tokens and texts of 200 texts", (name) => {
    const tokenizer = new Tokenizer(filesOf(name));
    const { specials, size, first, digest, pair } = expected[name]!;
    const records = recordsOf(tokenizer);
    expect(records.slice(0, first.length)).toEqual(first);
    expect(createHash("sha256").update(records.map(line).join("\n")).digest("hex")).toBe(digest);
    const { bosId, eosId, padId, unkId } = tokenizer.specials;
    expect({ bos_token: bosId ?? null, eos_token: eosId ?? null, pad_token: padId ?? null, unk_token: unkId ?? null }).toEqual(specials);
    expect(tokenizer.size).toBe(size);
    if (pair) expect(pairOf(tokenizer)).toEqual(pair);
  });

  it.each(loading)("%s: one text at a time as many in one call", (name) => {
    const tokenizer = new Tokenizer(filesOf(name));
    const good = texts.filter((_, i) => expected[name]!.first[i]);
    const ids = tokenizer.encodeAll(good);
    expect(good.map((text) => [...tokenizer.encode(text)])).toEqual(ids.map((one) => [...one]));
    expect(ids.map((one) => tokenizer.decode(one))).toEqual(tokenizer.decodeAll(ids));
  });

  it.each(names.filter((name) => expected[name]!.raises))("%s is refused", (name) => {
    expect(() => new Tokenizer(filesOf(name))).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });
});

function pairOf(tokenizer: Tokenizer): [number[], number[]] {
  const { ids, typeIds } = tokenizer.encodeText("the quick", "brown fox");
  return [[...ids], [...typeIds]];
}
