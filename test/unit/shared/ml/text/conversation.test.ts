import { fromWire } from "../../../../../services/shared/ml/text/conversation.js";

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
