import type { Problem } from "../../shared/base/errors.js";
import { type Item, outcomesOf, refusalOf } from "../../shared/codec/examples.js";
import { readingOf } from "../../shared/codec/teacher-words.js";
import { columnsIn, columnsOf, readDataset } from "../../shared/flow/prompts/dataset.js";
import { type RowNeeds, rowProblems } from "../../shared/flow/prompts/needs.js";
import { chatOfData } from "../../shared/flow/runs/chat.js";
import { answerRoleOf, resolveEnvironment } from "../../shared/flow/runs/environment.js";
import { type TeacherPromptSettings, teacherPromptsOf } from "../../shared/flow/runs/teacher-prompts.js";
import { Encoder } from "../../shared/ml/text/encoder.js";
import type { CheckedRun, SpecWarning } from "./checked-run.js";
import type { NamedModel, StudentModel } from "./named-model.js";
import { referenceWarnings } from "./reference-lengths.js";

/** Rows that are looked at before a run starts; its learner looks at all of them. */
const headRows = 1000;

/** What a dataset's first rows come to. */
export interface DataFindings {
  readonly problems: readonly Problem[];
  /** What is allowed and unusual. */
  readonly warnings: readonly SpecWarning[];
}

/**
 * What is wrong with a dataset's first rows: what they lack, and whether they become text and tokens.
 *
 * @param student undefined if it could not be read; then rows are not made into tokens
 * @param teachers those that are known, by their field of the spec
 * @throws NotFound or InvalidArgument if the dataset cannot be read
 */
export async function dataFindings(
  { spec, run }: Pick<CheckedRun, "spec" | "run">,
  needs: RowNeeds,
  student: StudentModel | undefined,
  teachers: readonly NamedModel[],
): Promise<DataFindings> {
  const { data } = spec;
  const maxNewTokens = Math.max(0, ...run.phases.map(({ sampling }) => sampling.maxNewTokens));
  const rows = await readDataset(needs.path, columnsOf(data), headRows);
  const problems = rowProblems(rows, needs, await columnsIn(needs.path), rows.length < headRows);
  if (!student) return { problems, warnings: [] };
  const chat = chatOfData(data, undefined);
  const encoder = new Encoder(student.words, student.ends.ids, chat, student.layout);
  const own = teacherPromptsOf(spec);
  const answerRole = answerRoleOf(resolveEnvironment(spec.environment));
  const outcomes = outcomesOf(rows, encoder, await readingOf(own, chat), answerRole);
  const refusal = refusalOf(outcomes);
  if (refusal) return { problems: [...problems, { fieldPath: `${needs.field}.path`, description: refusal }], warnings: [] };
  const items = outcomes.flatMap(({ item }) => item ?? []);
  const long = own.flatMap((teacher, i) => longPrompts(items, teacher, i === 0, teachers, maxNewTokens));
  const references = items.map(({ reference }) => reference);
  return { problems, warnings: [...long, ...referenceWarnings(spec, run, needs.field, references, student.words)] };
}

/** Warns of prompts that leave a teacher no room for the longest completion. */
function longPrompts(
  items: readonly Item[],
  { name, field }: TeacherPromptSettings,
  isFirst: boolean,
  teachers: readonly NamedModel[],
  maxNewTokens: number,
): DataFindings["warnings"] {
  const model = teachers.find((teacher) => teacher.field === `${field}.model`);
  if (!model?.maxPositions) return [];
  const { maxPositions } = model;
  const long = items.filter(({ teacher, teacherPromptIds, completionIds }) => {
    const reads = teacher ? teacher === name : isFirst;
    return reads && teacherPromptIds && teacherPromptIds.length + Math.max(maxNewTokens, completionIds?.length ?? 0) > maxPositions;
  });
  if (long.length === 0) return [];
  const message = `${model.name} has ${maxPositions} positions: its own prompt leaves no room for ${maxNewTokens} completion tokens in ${long.length} of the first ${items.length} rows, and completions that are too long go unscored; shorten the prompt or sampling.maxNewTokens`;
  return [{ field, message }];
}
