import { type Problem, RetortError } from "../../base/errors.js";
import { parseTemplate } from "../../base/jinja/text-template.js";
import type { RunSpec, RunSpecValid } from "../../gen/retort/v1/run_spec_pb.js";
import { teacherName } from "./resolve.js";

/** What a spec says of the prompts that one teacher reads. */
export interface TeacherPromptSettings {
  readonly name: string;
  /** Where the spec says it: "teachers[0]". */
  readonly field: string;
  /** Empty where the teacher reads the student's prompts. */
  readonly promptTemplate: string;
  /** Empty where the teacher has no system's message of its own. */
  readonly system: string;
  /** The teacher's model directory. */
  readonly model: string;
  /** `own`: the teacher reads text in its own tokens. */
  readonly tokenizer: string;
}

/** The prompt settings of a run's teachers, in their order: rows that name no teacher have the first one. */
export const teacherPromptsOf = ({ teachers }: Pick<RunSpec, "teachers">): TeacherPromptSettings[] =>
  teachers.map(({ name, ...teacher }, i) => {
    const { promptTemplate, system, model, tokenizer } = teacher;
    return { name: teacherName(name), field: `teachers[${i}]`, promptTemplate, system, model, tokenizer };
  });

/** What is wrong with the teachers' own prompts, as far as the spec says it without its rows. */
export function teacherPromptProblems({ teachers, data }: RunSpecValid): Problem[] {
  return teacherPromptsOf({ teachers }).flatMap(({ field, promptTemplate, system }) => {
    const given = [...(promptTemplate ? ["promptTemplate"] : []), ...(system ? ["system"] : [])];
    const [first] = given;
    if (first === undefined) return [];
    const problems: Problem[] = [];
    const refusal = promptTemplate && wrongTemplate(promptTemplate);
    if (refusal) problems.push({ fieldPath: `${field}.promptTemplate`, description: refusal });
    if (!data.path)
      problems.push({ fieldPath: `${field}.${first}`, description: "is for the prompts of rows, and data.path names none; leave it out" });
    else if (data.generate && teachers.length > 1)
      problems.push({
        fieldPath: `${field}.${first}`,
        description:
          "with data.generate and several teachers, texts would be written behind a prompt that is another teacher's; leave one of them out, or name one teacher",
      });
    return problems;
  });
}

function wrongTemplate(source: string): string | undefined {
  try {
    const { names } = parseTemplate(source);
    return names.length ? undefined : "names nothing of the row, so that every row would have the same prompt; add {{ prompt }}";
  } catch (error) {
    return RetortError.from(error).message;
  }
}
