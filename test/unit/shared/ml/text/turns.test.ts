import { Encoder } from "../../../../../services/shared/ml/text/encoder.js";
import type { ChatMessage } from "../../../../../services/shared/ml/text/tokenizer.js";
import { wordLevelTokenizer } from "../../../../../services/shared/ml/text/word-level.js";

const characters = [..."abcdefghijklmnopqrstuvwxyz0123456789 \n<>/|[].:_"];
const [ask, call, result] = [
  { role: "user", content: "sum" },
  { role: "assistant", content: "call" },
  { role: "tool", content: "42" },
];

/** ChatML, as Qwen writes it: the thoughts of turns before the last user's message are left out. */
const chatml =
  "{%- set ns = namespace(last=0) -%}{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}" +
  "{%- for m in messages -%}{%- set c = m.content -%}{%- if m.role == 'assistant' and loop.index0 < ns.last and '</think>' in c -%}{%- set c = c.split('</think>')[-1] -%}{%- endif -%}" +
  "{{ '<|' + m.role + '|>' + c + '</s>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- if no_thoughts is defined -%}{{ '<think></think>' }}{%- endif -%}{%- endif -%}";

function encoderOf(template: string, chatTemplateKwargs: Readonly<Record<string, unknown>> = {}) {
  const tokenizer = wordLevelTokenizer(characters, "</?s>|<pad>|[\\s\\S]", template);
  const settings = { chat: true, system: "", chatTemplateKwargs, chatTemplate: "", nowMs: 0 };
  return { encoder: new Encoder(tokenizer, [2], settings), tokenizer };
}

const replyOf = (template: string, messages: readonly ChatMessage[], answers: readonly (readonly ChatMessage[])[], kwargs = {}) =>
  encoderOf(template, kwargs).encoder.reply({ messages }, answers);

describe("a reply between two turns", () => {
  it("is what the template writes behind the turn's end, up to the next turn", () => {
    expect(replyOf(chatml, [ask!], [[result!]]).text).toBe("\n<|tool|>42</s>\n<|assistant|>");
    const several = [result!, { role: "user", content: "go on" }];
    expect(replyOf(chatml, [ask!], [several]).text).toBe("\n<|tool|>42</s>\n<|user|>go on</s>\n<|assistant|>");
  });

  it("makes the ids of the whole conversation, where the template only goes on writing", () => {
    const { encoder, tokenizer } = encoderOf(chatml);
    const [prompt] = encoder.prompts([{ messages: [ask!] }], String);
    const turn = tokenizer.encode("call</s>");
    const first = encoder.reply({ messages: [ask!] }, [[result!]]);
    const second = encoder.reply({ messages: [ask!] }, [[result!], [result!]]);
    const all = [...prompt!.ids, ...turn, ...first.ids, ...turn, ...second.ids];
    const [whole] = encoder.prompts([{ messages: [ask!, call!, result!, call!, result!] }], String);
    expect(all).toEqual([...whole!.ids]);
  });

  it("is the same whatever the template makes of the thoughts of earlier turns", () => {
    const again = { role: "user", content: "again" };
    expect(replyOf(chatml, [ask!], [[again]]).text).toBe("\n<|user|>again</s>\n<|assistant|>");
    expect(replyOf(chatml, [ask!], [[again]], { no_thoughts: true }).text).toBe("\n<|user|>again</s>\n<|assistant|><think></think>");
  });

  it("may have a message in another form than it was said in", () => {
    const json = chatml.replace("m.role + '|>' + c", "m.role + '|>' + (c | tojson if m.role == 'tool' else c)");
    expect(replyOf(json, [ask!], [[{ role: "tool", content: "4\n2" }]]).text).toContain("n2");
  });

  it("leaves out what a template puts before the turn's end, which the student wrote otherwise", () => {
    const spaced = chatml.replace("c + '</s>\n'", "c + ' </s><s>'");
    expect(replyOf(spaced, [ask!], [[result!]]).text).toBe("<s><|tool|>42 </s><s><|assistant|>");
  });

  it.each<[string, string, readonly ChatMessage[], readonly ChatMessage[], RegExp]>([
    [
      "a template that leaves out the tool's message",
      chatml.replace("m.role + '|>' + c", "m.role + '|>' + (c if m.role != 'tool' else '')"),
      [ask!],
      [result!],
      /leaves out a message of the role "tool"/,
    ],
    [
      "a template that leaves out earlier turns",
      chatml.replace("+ c +", "+ (c if m.role != 'assistant' else '') +"),
      [ask!],
      [result!],
      /leaves out turns of the assistant once others follow/,
    ],
    ["a template that ends a turn with no end token", chatml.replace("</s>", ""), [ask!], [result!], /with no token that ends a text/],
    [
      "a template that knows no tools",
      `{%- if messages|last|attr('role') == 'tool' -%}{{ raise_exception('no tools here') }}{%- endif -%}${chatml}`.replace(
        "messages|last|attr('role')",
        "messages[-1].role",
      ),
      [ask!],
      [result!],
      /no tools here/,
    ],
    ["a prompt that the student would continue", chatml, [ask!, call!], [result!], /ends with an assistant's message/],
  ])("is refused with %s", (_, template, messages, answer, message) => {
    expect(() => replyOf(template, messages, [answer])).toThrow(message);
    expect(encoderOf(template).encoder.replyRefusal({ messages }, answer[0]!.role)).toMatch(message);
  });
});
