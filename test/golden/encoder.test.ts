// What a conversation's prompt and answer are in ids: expected values by transformers (encoder.py).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ChatSettings, Encoder } from "../../services/shared/ml/text/encoder.js";
import { type ChatMessage, Tokenizer } from "../../services/shared/ml/text/tokenizer.js";

/** One conversation in one template with one tokenizer: encoded, or `differs` (the first token), or refused by the template. */
interface GoldenRow {
  readonly text?: string;
  readonly ids?: readonly number[];
  readonly answer?: readonly number[];
  readonly differs?: number;
  readonly raises?: string;
}

interface Golden {
  readonly nowMs: number;
  readonly templates: Readonly<Record<string, string>>;
  readonly conversations: readonly {
    readonly prompt: readonly ChatMessage[];
    readonly answer: readonly ChatMessage[];
    readonly more: { readonly tools?: readonly unknown[] } & Readonly<Record<string, unknown>>;
  }[];
  readonly cases: readonly {
    readonly tokenizer: string;
    readonly template: string;
    readonly ends: readonly number[];
    readonly rows: readonly GoldenRow[];
  }[];
}

const directory = join(process.cwd(), "test", "golden", "fixtures", "encoder");
const golden = JSON.parse(readFileSync(join(directory, "golden.json"), "utf8")) as Golden;
const settings: ChatSettings = { chat: false, system: "", chatTemplateKwargs: {}, chatTemplate: "", nowMs: golden.nowMs };

/** A tokenizer of the fixtures with a template of its own. */
function tokenizerOf(name: string, template: string): Tokenizer {
  const read = (file: string) => readFileSync(join(directory, name, file), "utf8");
  return new Tokenizer({
    "tokenizer.json": read("tokenizer.json"),
    "tokenizer_config.json": read("tokenizer_config.json"),
    "chat_template.jinja": template,
  });
}

describe.each(golden.cases.map((one) => [one.template, one.tokenizer, one] as const))(
  "the template %s over the tokenizer %s",
  (_, __, one) => {
    it("writes prompts and answers that become transformers' ids, or refuses", () => {
      const encoder = new Encoder(tokenizerOf(one.tokenizer, golden.templates[one.template]!), one.ends, settings);
      const found = golden.conversations.map(({ prompt, answer, more: { tools, ...chatTemplateKwargs } }) => {
        const [example] = encoder.examples([{ prompt: { messages: prompt, tools, chatTemplateKwargs }, completion: answer }]);
        return example!;
      });
      one.rows.forEach((row, i) => {
        const example = found[i]!;
        if (row.raises) expect([i, example.refusal]).toEqual([i, expect.stringMatching(/template/)]);
        else if (row.differs !== undefined) expect([i, example.refusal]).toEqual([i, expect.stringContaining(`token ${row.differs} is`)]);
        else {
          if (example.refusal !== undefined) throw new Error(`conversation ${i} was refused: ${example.refusal}`);
          expect([i, example.prompt.text]).toEqual([i, row.text]);
          expect([i, [...example.prompt.ids]]).toEqual([i, row.ids]);
          expect([i, [...example.completion!]]).toEqual([i, row.answer]);
        }
      });
    });
  },
);
