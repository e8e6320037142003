import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  defaultColumns as columns,
  columnsOf,
  type Message,
  type Row,
  readDataset,
} from "../../../../../../services/shared/flow/prompts/dataset.js";
import { parseSpec } from "../../../../../../services/shared/flow/runs/spec.js";

const user = { role: "user", content: "a" };
const assistant = { role: "assistant", content: "b" };
const json = (row: unknown): string => JSON.stringify(row);

describe("readDataset() of rows", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-rows-"));
  });
  afterEach(() => rm(directory, { recursive: true }));
  const read = async (text: string | Buffer, name = "rows.jsonl", named: Parameters<typeof readDataset>[1] = columns): Promise<Row[]> => {
    await writeFile(join(directory, name), text);
    return readDataset(join(directory, name), named);
  };
  const specColumns = (data: string) =>
    columnsOf(
      parseSpec(
        `name: a\nstudent: { model: s }\nteachers: [{ model: t }]\ndata: { path: d.jsonl, ${data} }\nphases: [{ preset: sft, steps: 1 }]`,
        "s",
      ).data!,
    );

  it.each<[string, unknown, Partial<Row>]>([
    [
      "the whole message of the assistant at the end of messages",
      { messages: [user, { ...assistant, reasoning_content: "r", tool_calls: [{ x: 1 }] }] },
      { prompt: [user], completion: [{ ...assistant, reasoning_content: "r", tool_calls: [{ x: 1 }] }], reference: "b" },
    ],
    [
      "messages that end with a tool's answer",
      { messages: [user, { role: "tool", name: "f", content: "sun" }] },
      { prompt: [user, { role: "tool", name: "f", content: "sun" }], completion: undefined, reference: undefined },
    ],
    ["lists on both sides", { prompt: [user], completion: [assistant] }, { prompt: [user], completion: [assistant], reference: "b" }],
    [
      "a completion of several messages",
      { prompt: [user], completion: [{ role: "assistant", content: null, tool_calls: [] }, { role: "tool", content: "t" }, assistant] },
      { completion: [{ role: "assistant", content: null, tool_calls: [] }, { role: "tool", content: "t" }, assistant], reference: "b" },
    ],
    [
      "content in parts",
      { messages: [user, { role: "assistant", content: [{ type: "text", text: "b" }, { type: "image" }, { type: "text", text: "c" }] }] },
      { reference: "bc" },
    ],
    ["an answer without content", { messages: [user, { role: "assistant", tool_calls: [] }] }, { reference: undefined }],
    [
      "what a template reads beside the messages",
      { messages: [user], tools: [{ name: "f" }], documents: [{ title: "d" }], chat_template_kwargs: { enable_thinking: false } },
      { tools: [{ name: "f" }], documents: [{ title: "d" }], chatTemplateKwargs: { enable_thinking: false } },
    ],
    ["tools as JSON in a text", { messages: [user], tools: '[{"name": "f"}]' }, { tools: [{ name: "f" }] }],
    ["a prompt that repeats the user's message", { prompt: "a", messages: [user, assistant] }, { prompt: [user], completion: [assistant] }],
    [
      "a completion that repeats the answer",
      { messages: [user, { ...assistant, name: "n" }], completion: "b" },
      { completion: [{ ...assistant, name: "n" }] },
    ],
    ["a list and a text", { prompt: [user], completion: "b" }, { prompt: [user], completion: "b" }],
  ])("reads %s", async (_, row, expected) => {
    expect((await read(json(row)))[0]).toMatchObject(expected);
  });

  it("leaves out what is null", async () => {
    const [row] = await read(json({ messages: [user], tools: null, documents: null, chat_template_kwargs: null, completion: null }));
    expect(Object.keys(row!).sort()).toEqual(["columns", "completion", "number", "prompt", "reference", "teacher", "where"]);
  });

  it("takes of prompt and messages the one that the spec names", async () => {
    const row = json({ prompt: "other", question: "q", messages: [user, assistant], completion: "c" });
    const of = async (data: string) => (await read(row, "rows.jsonl", specColumns(data)))[0]!;
    expect(await of("promptField: prompt")).toMatchObject({ prompt: "other", completion: "c" });
    expect(await of("promptField: question")).toMatchObject({ prompt: "q", completion: "c" });
    expect(await of("messagesField: messages, completionField: none")).toMatchObject({ prompt: [user], completion: [assistant] });
    await expect(of("limit: 1")).rejects.toThrow(/line 1: column "messages" and column "prompt" .* name the one to read/);
    await expect(of("messagesField: messages")).rejects.toThrow(/column "completion" says something else than the assistant/);
  });

  it.each<[string, unknown, RegExp]>([
    ["ShareGPT's columns", { conversations: [{ from: "human", value: "a" }] }, /"conversations" has ShareGPT's.*from human is role user/],
    [
      "ShareGPT's messages",
      { messages: [{ from: "human", value: "a" }] },
      /message 1 of column "messages" has ShareGPT's .* value is content$/,
    ],
    ["conversations with roles", { conversations: [user] }, /set data\.messagesField: conversations/],
    ["Alpaca's columns", { instruction: "i", input: "", output: "o" }, /promptField: instruction and data\.completionField: output/],
    ["texts alone", { text: "t" }, /data\.promptField: text.*to be continued/],
    ["a question and a response", { question: "q", response: "r" }, /data\.promptField: question and data\.completionField: response/],
    ["rows within an object", { train: [{ prompt: "a" }] }, /"train" is a list of objects: .* write that list alone/],
    ["an empty object", {}, /it has: none/],
    ["messages in a text", { messages: json([user]) }, /"messages" holds its messages as one text/],
    ["a prompt that is JSON", { prompt: json([user]) }, /"prompt" holds its messages as one text/],
    ["a prompt as Python prints it", { prompt: "[{'role': 'user', 'content': 'a'}]" }, /"prompt" holds its messages as one text/],
    ["a prompt that is one message", { prompt: user }, /"prompt" is one message; a list of messages/],
    ["a message that says nothing", { messages: [user, { role: "assistant", content: null }] }, /message 2 .* nothing beside its role/],
    ["a message that is none", { messages: [user, "b"] }, /message 2 of column "messages" is text; \{role, content\}/],
    ["a role that is no text", { prompt: [{ role: 1, content: "a" }] }, /message 1 of column "prompt" has a number as the role/],
    ["a content that is a number", { messages: [{ role: "user", content: 1.5 }] }, /has a number as the content/],
    ["a content that is an object", { messages: [{ role: "user", content: {} }] }, /has an object as the content/],
    ["a part that is none", { messages: [{ role: "user", content: [1] }] }, /has a number among the parts/],
    ["a completion that the user begins", { prompt: [user], completion: [user] }, /"completion" begins with a message of the role "user"/],
    ["an empty completion", { prompt: [user], completion: [] }, /"completion" is empty/],
    ["a completion that is a truth value", { prompt: "a", completion: true }, /"completion" is a boolean; text .*: write it as text/],
    ["tools that are no list", { prompt: "a", tools: {} }, /line 1: column "tools" is an object; a list of objects/],
    ["tools that are no JSON", { prompt: "a", tools: "f" }, /"tools" is text that is not JSON/],
    ["tools of text", { prompt: "a", tools: ["f"] }, /"tools" has text at position 1/],
    ["documents that are no list", { prompt: "a", documents: "d" }, /"documents" is text; a list of objects/],
    ["settings that are no object", { prompt: "a", chat_template_kwargs: [] }, /"chat_template_kwargs" is a list; an object/],
  ])("refuses %s", async (_, row, message) => {
    await expect(read(json(row))).rejects.toThrow(message);
  });

  it.each<[string, string | Buffer, string[]]>([
    ["line ends of Windows", '{"prompt":"a"}\r\n{"prompt":"b"}\r\n', ["a", "b"]],
    ["a byte order mark", '\uFEFF{"prompt":"a"}', ["a"]],
    ["a byte order mark before a list", '\uFEFF [{"prompt":"a"}]', ["a"]],
    ["what Unicode calls the end of a line", '{"prompt":"a\u2028b\u2029c\u0085d"}\n{"prompt":"e"}', ["a\u2028b\u2029c\u0085d", "e"]],
    ["empty lines", '\n \n{"prompt":"a"}\n\t\r\n', ["a"]],
    ["a list over lines", '[\n {"prompt": "[,]\\"\\\\"},\n\n {"prompt": "}{"\n}\n]\n', ['[,]"\\', "}{"]],
    [
      "numbers as they are spelt",
      '{"prompt":12345678901234567890}\n{"prompt": 0.10}\n{"prompt":-0}\n{"prompt":1E5}\n{"prompt":7}',
      ["12345678901234567890", "0.10", "-0", "1E5", "7"],
    ],
    ["a whole pair of surrogates", '{"prompt":"\\ud83d\\ude00 \\\\ud83d"}', ["😀 \\ud83d"]],
  ])("reads %s", async (_, text, prompts) => {
    expect((await read(text)).map(({ prompt }) => prompt)).toEqual(prompts);
  });

  it("keeps the spelling of numbers within messages and tools", async () => {
    const [row] = await read('{"messages":[{"role":"user","content":"1.0","x":[1.0, 2]}],"tools":[{"n":1e2}],"score":0.5}');
    const [first, second] = (row!.prompt[0] as Message).x as unknown[];
    expect(String(first)).toBe("1.0");
    expect(second).toBe(2);
    expect(String((row!.tools![0] as { n: unknown }).n)).toBe("1e2");
  });

  it("reads long lines and lists in which strings are cut by the parts that a file is read in", async () => {
    const long = '\\"x\\\\é'.repeat(200_000);
    const rows = [`{"prompt":"${long}","n":1.0}`, '{"prompt":"b"}'];
    for (const text of [rows.join("\n"), `[${rows.join(",")}]`]) {
      const found = await read(text, "long.json");
      expect(found.map(({ prompt }) => prompt.length)).toEqual([800_000, 1]);
    }
  });

  it("reads packed files, and counts rows and lines", async () => {
    const [, second] = await read(gzipSync('{"prompt":"a"}\n\n{"prompt":"b"}'), "rows.jsonl.gz");
    expect(second).toMatchObject({ prompt: "b", number: 2, where: expect.stringMatching(/rows\.jsonl\.gz line 3$/) });
    const [, row] = await read(gzipSync('[{"prompt":"a"},\n{"prompt":"b"}]'), "rows.json.gz");
    expect(row).toMatchObject({ prompt: "b", number: 2, where: expect.stringMatching(/rows\.json\.gz line 2, row 2$/) });
  });

  it.each<[string, string | Buffer, RegExp, string?]>([
    ["bytes that are not UTF-8", Buffer.from('{"prompt":"a"}\n{"prompt":"caf\xe9"}', "latin1"), /rows\.jsonl line 2 is not UTF-8/],
    ["such bytes in a list", Buffer.from('[{"prompt":"a"},{"prompt":"caf\xe9"}]', "latin1"), /rows\.jsonl line 1, row 2 is not UTF-8/],
    ["UTF-16 with a mark", Buffer.from('\uFEFF{"prompt":"a"}', "utf16le"), /is in UTF-16/],
    ["UTF-16 without one", Buffer.from('{"prompt":"a"}', "utf16le"), /is in UTF-16/],
    ["half a character", '{"prompt":"a"}\n{"x":[{"prompt":"\\ud800"}]}', /line 2 has \\ud800, one half/],
    ["NaN", '{"prompt":"NaN","score":NaN}', /line 1 is not JSON: it has NaN/],
    ["a mark within the file", '{"prompt":"a"}\n\uFEFF{"prompt":"a"}', /line 2 is not JSON: it begins with a byte order mark/],
    ["objects over lines", '{\n"prompt":"a"\n}', /line 1 is not JSON: an object .* goes on in the next line/],
    ["a list that is cut off", '[{"prompt":"a"},{"prompt":"b', /ends within its list, in or behind row 2/],
    ["a comma before the end of a list", '[{"prompt":"a"},]', /row 2 is not JSON/],
    ["two lists", '[{"prompt":"a"}]\n[{"prompt":"b"}]', /has more behind the end of its list/],
    ["a list of texts", '["a"]', /row 1 is no JSON object/],
    ["a bad row of a list over lines", '[\n {"prompt": "a"},\n\n {"prompt":\n 5e}\n]', /line 4, row 2 is not JSON/],
    ["what lies too deep", `{"messages":${"[".repeat(2000)}${"]".repeat(2000)}}`, /line 1 has more than 1000 lists/],
    [
      "what lies too deep in tools",
      `{"prompt":"a","tools":[{"x":${"[".repeat(2000)}${"]".repeat(2000)}}]}`,
      /line 1 has more than 1000 lists/,
    ],
    ["half a character too deep", `{"prompt":"a","x":${"[".repeat(9000)}"\\ud800"${"]".repeat(9000)}}`, /line 1 has more than 1000 lists/],
    ["a text", '"a"', /line 1 is no JSON object/],
    ["only spaces", " \n\r\n", /has no rows/],
    ["an empty list", "[ ]", /has no rows/],
    ["nothing", "", /has no rows/],
    ["a format that is not read", "a,b", /rows\.csv is not \.jsonl, \.json or \.parquet/, "rows.csv"],
    ["a packed file that is none", "a", /cannot be unpacked/, "rows.jsonl.gz"],
    ["keys whose order would be lost", '{"prompt":"p","tools":[{"b":1,"2":2}]}', /"tools" has an object with whole numbers for keys/],
  ])("refuses %s", async (_, text, message, name = "rows.jsonl") => {
    await expect(read(text, name)).rejects.toThrow(message);
  });

  it("reads keys that are numbers in their order, and does not mind what nothing reads", async () => {
    const [row] = await read('{"prompt":"p","other":{"b":1,"2":2},"tools":[{"1":1,"2":2,"b":"3"}]}');
    expect(row!.tools).toEqual([{ 1: 1, 2: 2, b: "3" }]);
  });
});
