import { outcomesOf } from "../../../../services/shared/codec/examples.js";
import { teacherPrompts } from "../../../../services/shared/codec/teacher-prompts.js";
import { defaultColumns } from "../../../../services/shared/flow/prompts/row.js";
import { toRow } from "../../../../services/shared/flow/prompts/to-row.js";
import type { TeacherPromptSettings } from "../../../../services/shared/flow/runs/teacher-prompts.js";
import { Encoder } from "../../../../services/shared/ml/text/encoder.js";
import { chatml, chatSettings, fixtureTokenizer } from "../../../support/models/encoder-fixtures.js";

const tokenizer = fixtureTokenizer("bytes", chatml);
const rowOf = (object: Record<string, unknown>) => toRow(object, defaultColumns, "d.jsonl line 1", 1);
const teacher = (fields: Partial<TeacherPromptSettings>): TeacherPromptSettings => ({
  ...{ name: "default", field: "teachers[0]", promptTemplate: "", system: "", model: "", tokenizer: "" },
  ...fields,
});

/** What the teacher reads of a row, as text; undefined for the student's own prompt, or why the row is refused. */
function readsOf(object: Record<string, unknown>, teachers: readonly TeacherPromptSettings[] = [], chat = false): string | undefined {
  const encoder = new Encoder(tokenizer, [tokenizer.tokenToId("<|im_end|>")!], chatSettings({ chat }));
  const [outcome] = outcomesOf([rowOf(object)], encoder, { prompts: teacherPrompts(teachers, chat) });
  if (outcome!.refusal !== undefined) return outcome!.refusal;
  const ids = outcome!.item!.teacherPromptIds;
  return ids && tokenizer.decode(ids, { skipSpecial: false });
}

describe("teacherPrompts()", () => {
  it("are the student's unless the row or the teacher says otherwise", () => {
    expect(readsOf({ prompt: "347=" }, [teacher({})])).toBeUndefined();
  });

  it("are the row's own column, as text or messages", () => {
    const prompt = "347=";
    expect(readsOf({ prompt, teacherPrompt: "347 is three. 347=" })).toBe("347 is three. 347=");
    const teacherMessages = [
      { role: "system", content: "s" },
      { role: "user", content: "u" },
    ];
    const written = "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n";
    expect(readsOf({ prompt, teacherMessages })).toBe(written);
    expect(readsOf({ prompt, teacherPrompt: teacherMessages })).toBe(written);
    expect(() => readsOf({ prompt, teacherPrompt: "a", teacherMessages })).toThrow(/"teacherPrompt" and column "teacherMessages" are both/);
    expect(readsOf({ prompt, teacherPrompt: "" })).toBe("the teacher's prompt: it is empty");
  });

  it("are what the template of the row's teacher makes of its columns", () => {
    const teachers = [
      teacher({ promptTemplate: "{{ hint }}: {{ prompt }} ({{ reference }}, {{ messages[0].role }})" }),
      teacher({ name: "plain", field: "teachers[1]" }),
    ];
    const row = { prompt: "347=", completion: "three", hint: 3 };
    expect(readsOf(row, teachers)).toBe("3: 347= (three, user)");
    expect(readsOf({ ...row, teacher: "plain" }, teachers)).toBeUndefined();
  });

  it("refuse a row that lacks what the template reads, or has a prompt beside it", () => {
    const teachers = [teacher({ promptTemplate: "{{ hint }}{{ prompt }}{{ reference }}" })];
    expect(readsOf({ prompt: "p", hint: null }, teachers)).toBe(
      "the teacher's prompt: teachers[0].promptTemplate reads hint, reference, which the row does not have; it has prompt, hint",
    );
    expect(readsOf({ prompt: "p", teacherPrompt: "q" }, teachers)).toMatch(/teachers\[0\]\.promptTemplate would write another/);
  });

  it("keep a conversation's other turns and what else its template reads", () => {
    const messages = [
      { role: "system", content: "s" },
      { role: "user", content: "a" },
      { role: "assistant", content: "b" },
      { role: "user", content: "c" },
      { role: "assistant", content: "d" },
    ];
    expect(readsOf({ messages }, [teacher({ promptTemplate: "{{ prompt }} [{{ completion }}]" })])).toBe(
      "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc [d]<|im_end|>\n<|im_start|>assistant\n",
    );
    const last = [{ role: "system", content: "s" }];
    expect(readsOf({ messages: last }, [teacher({ promptTemplate: "{{ messages[0].content }}" })])).toMatch(/last user's message/);
  });

  it("begin with the teacher's system message", () => {
    const system = [teacher({ system: "be brief" })];
    const brief = "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\np<|im_end|>\n<|im_start|>assistant\n";
    expect(readsOf({ prompt: "p" }, system, true)).toBe(brief);
    expect(readsOf({ messages: [{ role: "user", content: "p" }] }, system)).toBe(brief);
    expect(readsOf({ prompt: "p" }, system)).toMatch(/teachers\[0\]\.system would not be read: the prompt is plain text/);
    const own = [
      { role: "system", content: "s" },
      { role: "user", content: "p" },
    ];
    expect(readsOf({ messages: own }, system)).toMatch(/begin with one of the role system/);
  });
});
