import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ChatSettings } from "../../../services/shared/ml/text/encoder.js";
import { Tokenizer } from "../../../services/shared/ml/text/tokenizer.js";

/** The tokenizers that test/golden/encoder.py writes: bytes without and with a start token, as Llama 2 has it, as T5 has it. */
export type FixtureTokenizer = "bytes" | "bytes-start" | "metaspace" | "unigram";

/** Directory of the encoder's fixtures; tests run from the project's root. */
export const encoderFixtures = join(process.cwd(), "test", "golden", "fixtures", "encoder");

/** A tokenizer of the fixtures, with a template of its own. */
export function fixtureTokenizer(name: FixtureTokenizer, template?: string, config: Readonly<Record<string, unknown>> = {}): Tokenizer {
  const read = (file: string) => readFileSync(join(encoderFixtures, name, file), "utf8");
  const words = JSON.parse(read("tokenizer_config.json")) as Record<string, unknown>;
  return new Tokenizer({
    "tokenizer.json": read("tokenizer.json"),
    "tokenizer_config.json": JSON.stringify({ ...words, ...config }),
    ...(template === undefined ? {} : { "chat_template.jinja": template }),
  });
}

/** ChatML, the commonest form. */
export const chatml =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** Settings that change nothing, with what is given instead. */
export const chatSettings = (settings: Partial<ChatSettings> = {}): ChatSettings => ({
  ...{ chat: false, system: "", chatTemplateKwargs: {}, chatTemplate: "", nowMs: Date.UTC(2026, 0, 1) },
  ...settings,
});
