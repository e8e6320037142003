import { toolCallsIn } from "../../../../../services/shared/ml/text/tool-calls.js";

describe("toolCallsIn()", () => {
  it.each<[string, string, [string, string][]]>([
    ["Hermes and Qwen", 'so:\n<tool_call>\n{"name": "add", "arguments": {"b": 1.0, "a": 2}}\n</tool_call>', [["add", '{"b":1.0,"a":2}']]],
    [
      "several",
      '<tool_call>{"name": "f", "arguments": {}}</tool_call> and <tool_call>{"name": "g", "arguments": {"x": [1]}}</tool_call>',
      [
        ["f", "{}"],
        ["g", '{"x":[1]}'],
      ],
    ],
    ["Llama 3", ' {"name": "add", "parameters": {"a": "<b>"}}', [["add", '{"a":"<b>"}']]],
    ["arguments as text", '{"name": "add", "arguments": "{\\"a\\": 1}"}', [["add", '{"a":1}']]],
    ["none given", '<tool_call>{"name": "now"}</tool_call>', [["now", "{}"]]],
    ["broken JSON", '<tool_call>{"name": "f", </tool_call>', []],
    ["no name", '<tool_call>{"arguments": {}}</tool_call>', []],
    ["a call that is not closed", '<tool_call>{"name": "f"}', []],
    ["arguments that are a list", '{"name": "f", "arguments": [1]}', []],
    ["JSON within prose", 'I would say {"name": "f"}', []],
    ["an answer", "42", []],
  ])("reads %s", (_, text, calls) => {
    expect(toolCallsIn(text).map(({ name, arguments: given }) => [name, given])).toEqual(calls);
  });
});
