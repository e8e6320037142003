import { type ChatMessage, type ChatOptions, Tokenizer } from "../../../../../services/shared/ml/text/tokenizer.js";

type Json = Record<string, unknown>;

const model = { type: "WordLevel", vocab: { a: 0 }, unk_token: "a" };

const make = (config: Json, others: Record<string, string> = {}): Tokenizer =>
  new Tokenizer({
    "tokenizer.json": JSON.stringify({ version: "1.0", added_tokens: [], model }),
    "tokenizer_config.json": JSON.stringify(config),
    ...others,
  });

const user: ChatMessage = { role: "user", content: "hi" };
const render = (template: string, options?: ChatOptions, messages: ChatMessage[] = [user], config: Json = {}) =>
  make({ chat_template: template, ...config }).applyChatTemplate(messages, options);

describe("chat templates of a tokenizer", () => {
  const list = [
    { name: "default", template: "D" },
    { name: "tool_use", template: "T" },
  ];

  it.each<[string, Json, Record<string, string>, Record<string, string>]>([
    ["a text", { chat_template: "A" }, {}, { default: "A" }],
    ["a list", { chat_template: list }, {}, { default: "D", tool_use: "T" }],
    ["a file before the setting", { chat_template: list }, { "chat_template.jinja": "J" }, { default: "J" }],
    [
      "a folder of files",
      { chat_template: "A" },
      { "chat_template.jinja": "J", "additional_chat_templates/rag.jinja": "R" },
      { default: "J", rag: "R" },
    ],
    ["a processor's file", {}, { "chat_template.json": '{"chat_template":"P"}' }, { default: "P" }],
    ["the setting before a processor's file", { chat_template: "A" }, { "chat_template.json": '{"chat_template":"P"}' }, { default: "A" }],
    ["none", { chat_template: null }, {}, {}],
  ])("are read of %s", (_, config, files, expected) => {
    const tokenizer = make(config, files);
    expect(Object.fromEntries(tokenizer.templates)).toEqual(expected);
    expect(Object.keys(tokenizer.files).sort()).toEqual(["tokenizer.json", "tokenizer_config.json", ...Object.keys(files)].sort());
  });

  it("are chosen by name, by tools, by default", () => {
    const tokenizer = make({ chat_template: list });
    expect(tokenizer.applyChatTemplate([user])).toBe("D");
    expect(tokenizer.applyChatTemplate([user], { tools: [{ type: "function" }] })).toBe("T");
    expect(tokenizer.applyChatTemplate([user], { tools: null })).toBe("D");
    expect(tokenizer.applyChatTemplate([user], { template: "tool_use" })).toBe("T");
    expect(() => tokenizer.applyChatTemplate([user], { template: "rag" })).toThrow(/no chat template "rag"; it has default, tool_use/);
    const nameless = make({
      chat_template: [
        { name: "b", template: "B" },
        { name: "a", template: "A" },
      ],
    });
    expect(() => nameless.applyChatTemplate([user])).toThrow(/none is the default; name one of them: a, b/);
    expect(() => make({}).applyChatTemplate([user])).toThrow(expect.objectContaining({ code: "FailedPrecondition" }));
  });
});

describe("applyChatTemplate()", () => {
  it("gives the template the special tokens by name, custom ones among them, and no others", () => {
    const config = { bos_token: "<b>", eos_token: { __type: "AddedToken", content: "<e>" }, image_token: "<i>" };
    const template = "{{ bos_token }}{{ eos_token }}{{ image_token }}{{ pad_token is defined }}{{ unk_token is defined }}";
    expect(render(template, {}, [user], config).toLowerCase()).toBe("<b><e><i>falsefalse");
  });

  it("gives tools, documents and the generation prompt, and further values", () => {
    const template = "{{ tools is none }}|{{ documents is none }}|{{ add_generation_prompt }}|{{ enable_thinking }}";
    expect(render(template, { kwargs: { enable_thinking: "no" } }).toLowerCase()).toBe("true|true|true|no");
    expect(render(template, { tools: [], documents: [{}], addGenerationPrompt: false }).toLowerCase()).toBe("false|false|false|");
    expect(render("{{ bos_token }}", { kwargs: { bos_token: "own" } }, [user], { bos_token: "<b>" })).toBe("own");
  });

  it.each(["messages", "tools", "documents", "add_generation_prompt", "chat_template", "tokenize"])(
    "refuses %s among further values",
    (name) => {
      expect(() => render("x", { kwargs: { [name]: 1 } })).toThrow(new RegExp(`may not set ${name}`));
    },
  );

  it("leaves out keys that are null, and knows reasoning under its older names", () => {
    const template = "{% for m in messages %}{% for k in m %}{{ k }},{% endfor %};{% endfor %}";
    const messages = [
      { role: "user", content: null },
      { role: "assistant", thinking: "hm", content: "a" },
    ];
    expect(
      render(template, {}, messages)
        .split(";")
        .map((line) => line.split(",").filter(Boolean).sort()),
    ).toEqual([["role"], ["content", "reasoning_content", "role", "thinking"], []]);
  });

  it.each<[string, ChatMessage[], ChatOptions, RegExp]>([
    ["no messages", [], {}, /at least one message/],
    ["a message that is no object", ["hi" as unknown as ChatMessage], {}, /message 1 must be an object/],
    ["tools that are no objects", [user], { tools: ["f"] }, /tools must be a list of objects/],
    ["documents that are no objects", [user], { documents: ["d"] }, /documents must be a list of objects/],
  ])("refuses %s", (_, messages, options, message) => {
    expect(() => render("x", options, messages)).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringMatching(message) }),
    );
  });

  it("says why a template failed", () => {
    expect(() => render("{{ raise_exception('roles must alternate') }}")).toThrow(
      expect.objectContaining({
        code: "InvalidArgument",
        message: expect.stringMatching(/the chat template failed: .*roles must alternate/),
      }),
    );
    expect(() => render("{% for %}")).toThrow(/the chat template failed/);
  });

  it("tells the time that it is given", () => {
    expect(render("{{ strftime_now('%Y-%m-%d') }}", { now: new Date(2024, 1, 29, 12) })).toBe("2024-02-29");
  });

  it("leaves the last message open to be continued", () => {
    const template = "{% for m in messages %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}";
    const stripping = "{% for m in messages %}[{{ m.content.strip() }}]{% endfor %}";
    const messages = [user, { role: "assistant", content: "well " }];
    expect(render(template, { continueFinalMessage: true }, messages)).toBe("[hi][well ");
    expect(render(stripping, { continueFinalMessage: true }, messages)).toBe("[hi][well");
    expect(() => render(template, { continueFinalMessage: true, addGenerationPrompt: true }, messages)).toThrow(/no generation prompt/);
    expect(() => render(template, { continueFinalMessage: "refusal" }, messages)).toThrow(/no refusal to continue/);
    expect(() => render("x{# content #}", { continueFinalMessage: true }, messages)).toThrow(/leaves out a part of the last message/);
  });
});
