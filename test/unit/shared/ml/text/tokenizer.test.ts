import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Tokenizer } from "../../../../../services/shared/ml/text/tokenizer.js";

type Json = Record<string, unknown>;

const vocab = { "<unk>": 0, a: 1, b: 2, c: 3, ab: 4, " ": 5, "<s>": 6, "</s>": 7 };
const token = (content: string, id: number, flags: Json = {}) => ({
  ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ...flags,
});

function json(parts: Json = {}, model: Json = {}): Json {
  const bpe = { type: "BPE", vocab, merges: [["a", "b"]], unk_token: "<unk>", ...model };
  return { version: "1.0", added_tokens: [token("<s>", 6), token("</s>", 7)], ...parts, model: bpe };
}

function make(tokenizer: Json, config: Json = {}, others: Record<string, string | Json> = {}): Tokenizer {
  const files = { "tokenizer.json": tokenizer, "tokenizer_config.json": config, ...others };
  return new Tokenizer(
    Object.fromEntries(Object.entries(files).map(([path, value]) => [path, typeof value === "string" ? value : JSON.stringify(value)])),
  );
}

describe("Tokenizer", () => {
  it("gives ids, tokens and texts, one at a time and many at once", () => {
    const tokenizer = make(json({ decoder: { type: "Fuse" } }), { bos_token: "<s>", eos_token: "</s>" });
    expect([...tokenizer.encode("abc<s>")]).toEqual([4, 3, 6]);
    expect(tokenizer.encodeAll(["ab", "", "c a"]).map((ids) => [...ids])).toEqual([[4], [], [3, 5, 1]]);
    expect(tokenizer.decode([4, 7, 3])).toBe("abc");
    expect(tokenizer.decodeAll([[4, 7, 3], []], { skipSpecial: false })).toEqual(["ab</s>c", ""]);
    expect(tokenizer.specials).toEqual({ bosId: 6, eosId: 7, padId: undefined, unkId: undefined });
    expect([...tokenizer.specialIds]).toEqual([6, 7]);
    expect([tokenizer.size, tokenizer.tokenToId("ab"), tokenizer.idToToken(4), tokenizer.tokenToId("z"), tokenizer.idToToken(8)]).toEqual([
      ...[8, 4, "ab", undefined, undefined],
    ]);
  });

  it.each([
    ["the file", "{", /tokenizer.json is not JSON/],
    ["normalizer", json({ normalizer: { type: "Sideways" } }), /tokenizer.json: normalizer cannot be read/],
    ["pre-tokenizer", json({ pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" } }), /pre_tokenizer cannot/],
    ["post-processor", json({ post_processor: { type: "TemplateProcessing" } }), /tokenizer.json: post_processor cannot be read/],
    ["decoder", json({ decoder: { type: "Wave" } }), /tokenizer.json: decoder cannot be read/],
    ["added tokens", json({ added_tokens: [{ content: "x" }] }), /tokenizer.json: added_tokens cannot be read/],
    ["model", json({}, { type: "Markov" }), /tokenizer.json: model cannot be read/],
    ["merges", json({}, { merges: [["a", "zz"]] }), /tokenizer.json: model cannot be read.*zz/],
    ["dropout", json({}, { dropout: 0.1 }), /model.dropout is 0.1: ids would depend on chance/],
  ])("refuses a tokenizer.json by its %s", (_, tokenizer, message) => {
    const files = typeof tokenizer === "string" ? tokenizer : JSON.stringify(tokenizer);
    expect(() => new Tokenizer({ "tokenizer.json": files })).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringMatching(message) }),
    );
  });

  it.each<[string, Json, RegExp]>([
    ["split_special_tokens", { split_special_tokens: true }, /split_special_tokens is not read/],
    ["a class in Python", { tokenizer_class: "ByT5Tokenizer" }, /ByT5Tokenizer is written in Python/],
    [
      "a class with rules of its own",
      { tokenizer_class: "AlbertTokenizer" },
      /AlbertTokenizer makes a tokenizer of its own.*PreTrainedTokenizerFast/,
    ],
    ["a class of another model", { tokenizer_class: "XLMRobertaTokenizer" }, /XLMRobertaTokenizer makes a Unigram model.*BPE model/],
    ["code of its own", { auto_map: { AutoTokenizer: ["own.Own", null] } }, /auto_map names a tokenizer that is code of its own/],
    ["a token that is no text", { eos_token: 2 }, /tokenizer_config.json: eos_token is 2; it must be text/],
    ["a template that is no text", { chat_template: 3 }, /tokenizer_config.json: chat_template must be text/],
  ])("refuses a tokenizer_config.json with %s", (_, config, message) => {
    expect(() => make(json(), config)).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringMatching(message) }),
    );
  });

  it("names the piece that has no token, where none is for unknown ones", () => {
    const tokenizer = make(json({ pre_tokenizer: { type: "Whitespace" } }, { unk_token: "<none>" }));
    expect([...tokenizer.encode("ab c")]).toEqual([4, 3]);
    expect(() => tokenizer.encode("ab aé c")).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringContaining('"é" has no token') }),
    );
    expect(() => tokenizer.encodeAll(["ab", "c", "cß"])).toThrow(/"ß" has no token/);
  });

  it("refuses half a surrogate pair and what is no id", () => {
    const tokenizer = make(json());
    expect(() => tokenizer.encode("a\ud83d")).toThrow(/half of a surrogate pair/);
    expect(() => tokenizer.decode([-1])).toThrow(/-1 isn't a token id/);
    expect(() => tokenizer.decode([1.5])).toThrow(/1.5 isn't a token id/);
  });

  it("names the files that it does not read, and what to save", async () => {
    const directory = mkdtempSync(join(tmpdir(), "tokenizer-"));
    writeFileSync(join(directory, "tokenizer.model"), "");
    await expect(Tokenizer.load(directory)).rejects.toMatchObject({
      code: "NotFound",
      message: expect.stringMatching(/tokenizer.model but no tokenizer.json.*save_pretrained/),
    });
    writeFileSync(join(directory, "tokenizer.json"), Buffer.from([0x7b, 0xff]));
    await expect(Tokenizer.load(directory)).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringContaining("is not UTF-8"),
    });
    rmSync(directory, { recursive: true });
  });

  it("works in a thread of a thread, which ends by itself", async () => {
    const url = new URL("../../../../../services/shared/ml/text/character-tokenizer.js", import.meta.url).href;
    const code = `import(${JSON.stringify(url)}).then(({ characterTokenizer }) =>
      require("node:worker_threads").parentPort.postMessage([...characterTokenizer("abc").encode("cab")]));`;
    const worker = new Worker(code, { eval: true, execArgv: [] });
    const ids = new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    expect(Array.from((await ids) as number[])).toEqual([5, 3, 4]);
    expect(await ended).toBe(0);
  });

  it("holds many tokenizers at once and lets go of those that nobody holds", async () => {
    const kept = make(json(), { eos_token: "</s>" });
    for (let i = 0; i < 300; i++) expect(make(json(), { eos_token: `<${i}>` }).specials.eosId).toBe(8);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect([...kept.encode("ab")]).toEqual([4]);
  });
});

describe("digests of a tokenizer", () => {
  const base = make(json(), { eos_token: "</s>" });

  it.each<[string, Tokenizer, boolean, boolean]>([
    ["other names of special tokens", make(json(), { bos_token: "<s>", eos_token: "<s>", pad_token: "</s>" }), true, true],
    [
      "merges as texts, nulls, truncation and padding",
      make(
        json(
          { truncation: { max_length: 3, strategy: "LongestFirst", stride: 0, direction: "Right" }, normalizer: null },
          { merges: ["a b"], dropout: null, byte_fallback: false },
        ),
        { eos_token: "</s>" },
      ),
      true,
      true,
    ],
    ["another decoder", make(json({ decoder: { type: "Fuse" } })), true, true],
    ["a token that is not special", make(json({ added_tokens: [token("<s>", 6, { special: false }), token("</s>", 7)] })), true, true],
    ["a normalizer", make(json({ normalizer: { type: "NFC" } })), true, false],
    ["no merges", make(json({}, { merges: [] })), true, false],
    [
      "a start token around texts",
      make(
        json({
          post_processor: { type: "RobertaProcessing", sep: ["</s>", 7], cls: ["<s>", 6], trim_offsets: true, add_prefix_space: false },
        }),
      ),
      true,
      false,
    ],
    ["a token that strips spaces", make(json({ added_tokens: [token("<s>", 6, { lstrip: true }), token("</s>", 7)] })), true, false],
    ["two tokens the other way round", make(json({}, { vocab: { ...vocab, a: 2, b: 1 } })), false, true],
    ["one token more", make(json(), { eos_token: "<end>" }), false, false],
  ])("with %s", (_, other, sameIds, sameEncoding) => {
    expect([other.digest === base.digest, other.encodingDigest === base.encodingDigest]).toEqual([sameIds, sameEncoding]);
  });
});
