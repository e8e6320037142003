// What a conversation's prompt and answer are in ids: expected values by transformers (encoder.py).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson } from "../../services/shared/base/json.js";
import { Encoder } from "../../services/shared/ml/text/encoder.js";
import type { ChatMessage } from "../../services/shared/ml/text/tokenizer.js";
import { chatSettings, encoderFixtures, type FixtureTokenizer, fixtureTokenizer } from "../support/models/encoder-fixtures.js";

/** One conversation in one template with one tokenizer: encoded, or `differs` (the first token), refused by the template, given names that it does not read, or left out in part. */
interface GoldenRow {
  readonly text?: string;
  readonly ids?: readonly number[];
  readonly answer?: readonly number[];
  readonly differs?: number;
  readonly raises?: string;
  readonly unread?: readonly string[];
  readonly lost?: string;
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
    readonly tokenizer: FixtureTokenizer;
    readonly template: string;
    readonly ends: readonly number[];
    readonly rows: readonly GoldenRow[];
  }[];
}

const golden = parseJson(readFileSync(join(encoderFixtures, "golden.json"), "utf8")) as Golden;
const settings = chatSettings({ nowMs: golden.nowMs });

describe.each(golden.cases.map((one) => [one.template, one.tokenizer, one] as const))(
  "the template %s over the tokenizer %s",
  (_, __, one) => {
    it("writes prompts and answers that become transformers' ids, or refuses", () => {
      const encoder = new Encoder(fixtureTokenizer(one.tokenizer, golden.templates[one.template]!), one.ends, settings);
      const found = golden.conversations.map(({ prompt, answer, more: { tools, ...chatTemplateKwargs } }) => {
        const [example] = encoder.examples([{ prompt: { messages: prompt, tools, chatTemplateKwargs }, completion: answer }]);
        return example!;
      });
      one.rows.forEach((row, i) => {
        const example = found[i]!;
        if (row.unread) expect([i, example.refusal]).toEqual([i, expect.stringContaining(`does not read ${row.unread.join(", ")}`)]);
        else if (row.lost) expect([i, example.refusal]).toEqual([i, expect.stringContaining(`leaves out ${row.lost}`)]);
        else if (row.raises) expect([i, example.refusal]).toEqual([i, expect.stringMatching(/template/)]);
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
