import { create } from "@bufbuild/protobuf";
import { ConversationSchema } from "../../../services/shared/gen/retort/v1/conversation_pb.js";
import { toolCallsIn } from "../../../services/shared/ml/text/tool-calls.js";
import { calculator } from "../../../services/student/environments/calculator.js";

const patience = { patienceMs: 0, sinceMs: 0, signal: new AbortController().signal };

describe("the environment `calculator`", () => {
  const answerTo = async (text: string, reference = "1,250") => {
    const start = { episode: "e", seed: 1n, conversation: create(ConversationSchema, {}), reference };
    const episode = await calculator().begin(start, patience);
    return episode.answer({ turn: 0, text, toolCalls: toolCallsIn(text), last: false });
  };
  const call = (given: string, name = "calculator") => `<tool_call>{"name": "${name}", "arguments": ${given}}</tool_call>`;

  it.each<[string, string]>([
    [call('{"expression": "12*(3+4)"}'), "84"],
    [call('{"expression": "1/3"}'), "0.333333333333"],
    [call('{"expression": "1/0"}'), "error: division by zero"],
    [call('{"expression": 12}'), 'error: expression is missing; give a text such as "12*(3+4)"'],
    ['<tool_call>{"name": "calculator", "arguments": {"expression": "12"', "error: the call is no JSON object"],
    ['<tool_call>{"expression": "12"}</tool_call>', "error: the call is no JSON object"],
    [call("{}", "search"), 'error: there is no tool "search"; there is calculator'],
  ])("answers %s with %p, as the tool", async (text, content) => {
    expect(await answerTo(text)).toEqual({ messages: [{ role: "tool", content, extra: "" }], done: false, reward: 0 });
  });

  it("answers each of several calls", async () => {
    const { messages } = await answerTo(call('{"expression": "1+1"}') + call('{"expression": "2+2"}'));
    expect(messages.map(({ content }) => content)).toEqual(["2", "4"]);
  });

  it.each<[string, string, number]>([
    ["1250", "1,250", 1],
    ["The answer is 1,250.", "1250.0", 1],
    ["12 and 13", "13", 1],
    ["13 and 12", "13", 0],
    ["-4", "4", 0],
    ["none", "4", 0],
    ["4", "", 0],
    ["nothing", "nothing", 0],
  ])("ends with the answer %p, which for %p pays %d", async (text, reference, reward) => {
    expect(await answerTo(text, reference)).toEqual({ messages: [], done: true, reward });
  });
});
