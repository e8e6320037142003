import { fromWire, refuseLost } from "../../../../../services/shared/ml/text/conversation.js";

describe("fromWire()", () => {
  it("keeps every key, the order of keys and the spelling of numbers", () => {
    const extra = '{"tool_calls": [{"function": {"name": "f", "arguments": {"b": 1.0, "a": 12345678901234567890}}}]}';
    const { messages } = fromWire({ messages: [{ role: "assistant", extra }] }, "prompts[0].conversation");
    const [message] = messages;
    expect(Object.keys(message!)).toEqual(["role", "tool_calls"]);
    const [call] = message!.tool_calls as [{ function: { arguments: Record<string, unknown> } }];
    const { arguments: given } = call.function;
    expect(Object.entries(given).map(([key, value]) => [key, String(value)])).toEqual([
      ["b", "1.0"],
      ["a", "12345678901234567890"],
    ]);
  });

  it("tells empty content from none", () => {
    const { messages } = fromWire(
      {
        messages: [
          { role: "user", content: "" },
          { role: "assistant", extra: "" },
        ],
      },
      "c",
    );
    expect(messages).toEqual([{ role: "user", content: "" }, { role: "assistant" }]);
  });

  it.each([
    [{ messages: [{ role: "user", content: "x", extra: "[1]" }] }, /c\.messages\[0\]\.extra is no JSON object/],
    [{ messages: [{ role: "user", content: "x", extra: "{" }] }, /c\.messages\[0\]\.extra is not JSON/],
    [{ messages: [{ role: "user", content: "x", extra: '{"role": "tool"}' }] }, /has the key "role", which the message has too/],
    [{ messages: [{ role: "user", content: "x", extra: '{"content": "y"}' }] }, /has the key "content"/],
    [{ messages: [{ role: "user", content: "x" }], tools: "{}" }, /c\.tools is no JSON list/],
    [{ messages: [{ role: "user", content: "x" }], documents: "nothing" }, /c\.documents is not JSON/],
  ])("names the field that is wrong: %j", (wire, message) => {
    expect(() => fromWire(wire, "c")).toThrow(message);
  });
});

describe("refuseLost()", () => {
  const user = { role: "user", content: "x" };
  const call = { role: "assistant", tool_calls: [{ function: { name: "f", arguments: {} } }] };
  const thought = { role: "assistant", content: "6", reasoning_content: "three and three" };

  it.each([
    [
      "parts that are not written",
      [{ role: "user", content: [{ type: "text", text: "hello" }] }],
      "{{ m.content }}",
      "",
      1,
      /the content.* of message 1: write it as text/,
    ],
    ["calls that are not read", [user, call], "{{ m.content }}", "x", 1, /the tool_calls of message 2/],
    ["calls of earlier turns that are not read", [user, call, user], "{{ m.content }}", "x", 3, /the tool_calls of message 2/],
    ["an answer's thoughts that are not read", [user, thought], "{{ m.content }}", "x6", 1, /the reasoning_content of message 2/],
  ] as const)("names %s", (_, messages, template, text, answer, message) => {
    expect(() => refuseLost(messages, template, text, answer)).toThrow(message);
  });

  it.each([
    ["parts that are written", [{ role: "user", content: [{ type: "text", text: " hello " }] }], "{{ m.content }}", "hello", 1],
    ["calls that are read", [user, call], "{{ m.tool_calls }}", "x", 1],
    ["messages that are dumped whole", [user, call, thought], "{{ m | tojson }}", "x", 1],
    ["thoughts under their older name", [user, thought], "{{ m.thinking }}", "x", 1],
    ["thoughts of an earlier turn", [user, thought, user], "{{ m.content }}", "x", 3],
    ["no calls at all", [user, { role: "assistant", content: "y", tool_calls: [] }], "{{ m.content }}", "xy", 1],
  ] as const)("accepts %s", (_, messages, template, text, answer) => {
    expect(() => refuseLost(messages, template, text, answer)).not.toThrow();
  });
});
