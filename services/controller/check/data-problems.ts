import type { Problem } from "../../shared/base/errors.js";
import { outcomesOf, refusalOf } from "../../shared/codec/examples.js";
import { readingOf } from "../../shared/codec/teacher-words.js";
import { columnsIn, columnsOf, readDataset } from "../../shared/flow/prompts/dataset.js";
import { type RowNeeds, rowProblems } from "../../shared/flow/prompts/needs.js";
import { chatOfData } from "../../shared/flow/runs/chat.js";
import { answerRoleOf, resolveEnvironment } from "../../shared/flow/runs/environment.js";
import { teacherPromptsOf } from "../../shared/flow/runs/teacher-prompts.js";
import { Encoder } from "../../shared/ml/text/encoder.js";
import type { CheckedRun, SpecWarning } from "./checked-run.js";
import type { NamedModel, StudentModel } from "./named-model.js";
import { referenceWarnings } from "./reference-lengths.js";
import { fitting, type LookedAt, roomFindings } from "./room-problems.js";
import { teacherRoom } from "./teacher-room.js";

/** Rows that are looked at before a run starts; its learner looks at all of them. */
const headRows = 1000;

/** What a dataset's first rows come to. */
export interface DataFindings {
  readonly problems: readonly Problem[];
  /** What is allowed and unusual. */
  readonly warnings: readonly SpecWarning[];
  /** Tokens of a prompt, on average; undefined where no row became tokens. */
  readonly promptTokens?: number;
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
  const limit = (needs.field === "data" ? data.limit : run.evaluation?.limit) || Number.POSITIVE_INFINITY;
  const read: LookedAt = { items: items.slice(0, limit), whole: rows.length < headRows || limit <= headRows, path: needs.path };
  const room = roomFindings({ spec, run }, needs.field, read, student);
  const ofTeachers = teacherRoom({ spec, run }, needs.field, fitting({ spec, run }, needs.field, read, student), teachers);
  const references = items.map(({ reference }) => reference);
  const warnings = [...room.warnings, ...ofTeachers.warnings, ...referenceWarnings(spec, run, needs.field, references, student.words)];
  const findings = { problems: [...problems, ...room.problems, ...ofTeachers.problems], warnings };
  if (items.length === 0) return findings;
  return { ...findings, promptTokens: items.reduce((sum, { promptIds }) => sum + promptIds.length, 0) / items.length };
}
