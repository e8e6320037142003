import { completionTexts } from "../../../../../services/shared/ml/text/completion-texts.js";
import { Encoder, type Example } from "../../../../../services/shared/ml/text/encoder.js";
import type { ChatMessage } from "../../../../../services/shared/ml/text/tokenizer.js";
import { chatml, chatSettings, type FixtureTokenizer, fixtureTokenizer } from "../../../../support/models/encoder-fixtures.js";

const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });
const row = (i: number) => `row ${i}`;

/** The only example's encoding. */
function only(encoder: Encoder, example: Example) {
  const [found] = encoder.examples([example]);
  if (found!.refusal !== undefined) throw new Error(found!.refusal);
  return found!;
}
const refusal = (encoder: Encoder, example: Example) => encoder.examples([example])[0]!.refusal;

describe("a plain prompt", () => {
  it.each(["bytes", "bytes-start", "metaspace"] as const)("gets what the tokenizer %s puts before every text", (name) => {
    const tokenizer = fixtureTokenizer(name);
    const encoder = new Encoder(tokenizer, [], chatSettings());
    expect(encoder.prompts(["347=", ""], row).map(({ ids }) => [...ids])).toEqual(
      ["347=", ""].map((text) => [...tokenizer.encode(text, { addSpecial: true })]),
    );
  });

  it("gets no end token behind it", () => {
    const tokenizer = fixtureTokenizer("unigram");
    const { eosId } = tokenizer.specials;
    const [prompt] = new Encoder(tokenizer, [eosId!], chatSettings()).prompts(["one, two"], row);
    expect(tokenizer.encode("one, two", { addSpecial: true }).at(-1)).toBe(eosId);
    expect([...prompt!.ids]).toEqual([...tokenizer.encode("one, two")]);
  });

  it("recognises special tokens that it spells out, as transformers does", () => {
    const tokenizer = fixtureTokenizer("bytes");
    const [prompt] = new Encoder(tokenizer, [], chatSettings()).prompts(["<|im_start|>user"], row);
    expect(prompt!.ids[0]).toBe(tokenizer.tokenToId("<|im_start|>"));
  });
});

describe("a plain completion", () => {
  const texts = [
    ["347=", "three"],
    ["347=", " three"],
    ["Once upon", " a time"],
    ["Once up", "on a time"],
    ["", "three"],
    ["x", ""],
    ["name", "\n\nfirst"],
    ["5 m", "² 😀👍🏽"],
  ] as const;

  it.each(["bytes", "bytes-start", "metaspace"] as const)("says behind its prompt just what was written, with %s", (name) => {
    const tokenizer = fixtureTokenizer(name);
    const encoder = new Encoder(tokenizer, [], chatSettings());
    const written = texts.map(([prompt, completion]) => {
      const { prompt: own, completion: ids } = only(encoder, { prompt, completion });
      return tokenizer.decode([...own.ids, ...ids!]);
    });
    expect(written).toEqual(texts.map(([prompt, completion]) => prompt + completion));
  });

  it("ends with the tokenizer's end token, once", () => {
    const tokenizer = fixtureTokenizer("bytes");
    const encoder = new Encoder(tokenizer, [tokenizer.tokenToId("<|im_end|>")!], chatSettings());
    const last = (completion: string) =>
      Array.from(only(encoder, { prompt: "x", completion }).completion!.slice(-2), (id) => tokenizer.idToToken(id));
    expect(last("one")[1]).toBe("<|endoftext|>");
    expect(last("one<|endoftext|>")[0]).not.toBe("<|endoftext|>");
    expect(last("one<|im_end|>")[1]).toBe("<|im_end|>");
    expect([...only(encoder, { prompt: "x", completion: "" }).completion!]).toEqual([tokenizer.specials.eosId]);
  });
});

describe("the text of a sampled completion", () => {
  it.each(["bytes", "bytes-start", "metaspace", "unigram"] as const)("is what it adds to its prompt, with %s", (name: FixtureTokenizer) => {
    const tokenizer = fixtureTokenizer(name);
    const whole = tokenizer.encode("one, two and three");
    const cuts = [1, 2, 3].map((n) => ({ promptIds: whole.slice(0, n), ids: whole.slice(n) }));
    expect(completionTexts(tokenizer, cuts)).toEqual(
      cuts.map(({ promptIds }) => "one, two and three".slice(tokenizer.decode(promptIds).length)),
    );
  });

  it("finishes a character that its prompt began", () => {
    const tokenizer = fixtureTokenizer("bytes");
    const whole = tokenizer.encode("a\u{1F980}b");
    const half = whole.length - 2;
    expect(tokenizer.decode(whole.slice(0, half))).toContain("\uFFFD");
    expect(completionTexts(tokenizer, [{ promptIds: whole.slice(0, half), ids: whole.slice(half) }])).toEqual(["\u{1F980}b"]);
  });
});

describe("a conversation", () => {
  const tokenizer = fixtureTokenizer("bytes-start", chatml);
  const end = tokenizer.tokenToId("<|im_end|>")!;
  const encoder = new Encoder(tokenizer, [end], chatSettings());

  it("gets no token but those that its template writes", () => {
    const [prompt] = encoder.prompts([{ messages: [user("hello")] }], row);
    expect(tokenizer.decode(prompt!.ids, { skipSpecial: false })).toBe("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
  });

  it("has an answer that ends with its last end token", () => {
    const { completion } = only(encoder, { prompt: { messages: [user("hello")] }, completion: [assistant("a<|im_end|>b")] });
    expect(tokenizer.decode(completion!, { skipSpecial: false })).toBe("a<|im_end|>b<|im_end|>");
  });

  it("continues what the assistant has begun to say", () => {
    const [prompt] = encoder.prompts([{ messages: [user("hello"), assistant("Well, ")] }], row);
    expect(prompt!.text).toBe("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\nWell, ");
  });

  it("takes the system's message of the settings where it has none", () => {
    const brief = new Encoder(tokenizer, [end], chatSettings({ system: "be brief" }));
    const texts = brief.prompts([{ messages: [user("x")] }, { messages: [{ role: "system", content: "own" }, user("x")] }], row);
    expect(texts.map(({ text }) => text.split("<|im_end|>")[0])).toEqual(["<|im_start|>system\nbe brief", "<|im_start|>system\nown"]);
  });

  it("is made of plain text where the settings say so", () => {
    const chatting = new Encoder(tokenizer, [end], chatSettings({ chat: true }));
    const { prompt, completion } = only(chatting, { prompt: "12", completion: "twelve" });
    expect(prompt.text).toBe("<|im_start|>user\n12<|im_end|>\n<|im_start|>assistant\n");
    expect(tokenizer.decode(completion!, { skipSpecial: false })).toBe("twelve<|im_end|>");
  });

  it("reads the clock of the settings", () => {
    const dated = fixtureTokenizer("bytes", `{{ strftime_now('%Y') }}${chatml}`);
    const [prompt] = new Encoder(dated, [], chatSettings({ nowMs: Date.UTC(1999, 5, 1) })).prompts([{ messages: [user("x")] }], row);
    expect(prompt!.text.slice(0, 4)).toBe("1999");
  });

  it.each<[string, Example, RegExp]>([
    [
      "a template that writes the prompt otherwise",
      { prompt: { messages: [user("x")] }, completion: [assistant("\ny")] },
      /token \d+ is ".*" \(\d+\) in the prompt and/,
    ],
    [
      "a completion that another role speaks",
      { prompt: { messages: [user("x")] }, completion: [{ role: "tool", content: "sun" }] },
      /role "tool"/,
    ],
    [
      "two assistants in a row",
      { prompt: { messages: [user("x"), assistant("y")] }, completion: [assistant("z")] },
      /ends with an assistant's message/,
    ],
    ["text with messages behind it", { prompt: "x", completion: [assistant("y")] }, /give both as text or both as messages/],
    [
      "a name that the template does not read",
      { prompt: { messages: [user("x")], chatTemplateKwargs: { enable_thinking: false } }, completion: undefined },
      /does not read enable_thinking/,
    ],
    [
      "tools that the template does not read",
      { prompt: { messages: [user("x")], tools: [{}] }, completion: undefined },
      /does not read tools/,
    ],
    [
      "content that the template cannot join",
      { prompt: { messages: [{ role: "user", content: [{ type: "text", text: "x" }] }] }, completion: undefined },
      /chat template failed/,
    ],
  ])("is refused with %s", (_, example, message) => {
    expect(refusal(encoder, example)).toMatch(message);
  });

  it("names the prompt whose template fails", () => {
    expect(() => encoder.prompts([{ messages: [user("x")] }, { messages: [{ role: "user", content: [] }] }], row)).toThrow(
      /^row 1: the chat template failed/,
    );
  });
});

describe("settings that nothing reads", () => {
  it.each([
    [{ system: "be brief" }, /system would not be read/],
    [{ chatTemplateKwargs: { enable_thinking: false } }, /chatTemplateKwargs would not be read/],
    [{ chatTemplate: "tool_use" }, /chatTemplate would not be read/],
  ] as const)("are refused: %j", (settings, message) => {
    const encoder = new Encoder(fixtureTokenizer("bytes", chatml), [], chatSettings(settings));
    expect(refusal(encoder, { prompt: "x", completion: "y" })).toMatch(message);
  });
});

describe("an encoder-decoder's texts", () => {
  const tokenizer = fixtureTokenizer("unigram");
  const eosId = tokenizer.specials.eosId!;
  const encoder = (settings = {}) => new Encoder(tokenizer, [eosId], chatSettings(settings), "two");

  it("are two: the prompt with the tokenizer's end, the completion by itself with one end", () => {
    const { prompt, completion } = only(encoder(), { prompt: "one, two", completion: "three" });
    expect([...prompt.ids]).toEqual([...tokenizer.encode("one, two", { addSpecial: true })]);
    expect(prompt.ids.at(-1)).toBe(eosId);
    expect([...completion!]).toEqual([...tokenizer.encode("three", { addSpecial: true })]);
    expect([...encoder().prompts(["one, two"], row)[0]!.ids]).toEqual([...prompt.ids]);
    expect(only(encoder(), { prompt: "one", completion: undefined }).completion).toBeUndefined();
    expect([...only(encoder(), { prompt: "one", completion: "" }).completion!]).toEqual([eosId]);
  });

  it("have no end where they are to be scored as they are", () => {
    const prompts = encoder().prompts(["one, two", ""], row);
    expect(
      encoder()
        .continuations(prompts, ["three", ""])
        .map((ids) => [...ids]),
    ).toEqual([[...tokenizer.encode("three")], []]);
  });

  it("are read back without the prompt's", () => {
    const ids = tokenizer.encode("three hundred", { addSpecial: true });
    const promptIds = tokenizer.encode("one, two", { addSpecial: true });
    expect(encoder().completionTexts([{ promptIds, ids }])).toEqual(["three hundred"]);
    expect(completionTexts(tokenizer, [{ promptIds, ids: ids.slice(1) }], "two")).toEqual([tokenizer.decode(ids.slice(1))]);
  });

  it.each<[string, object, Example]>([
    ["a setting that makes conversations of them", { chat: true }, { prompt: "one", completion: "two" }],
    ["a conversation", {}, { prompt: { messages: [user("one")] }, completion: undefined }],
    ["an answer in messages", {}, { prompt: "one", completion: [assistant("two")] }],
  ])("are refused where there is %s, with the way out", (_, settings, example) => {
    expect(refusal(encoder(settings), example)).toMatch(
      /is an encoder-decoder, which reads a prompt and its completion apart.*chat: false/,
    );
  });
});
