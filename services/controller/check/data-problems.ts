import type { Problem } from "../../shared/base/errors.js";
import { outcomesOf, refusalOf } from "../../shared/codec/examples.js";
import { teacherPrompts } from "../../shared/codec/teacher-prompts.js";
import { columnsIn, columnsOf, readDataset } from "../../shared/flow/prompts/dataset.js";
import { type RowNeeds, rowProblems } from "../../shared/flow/prompts/needs.js";
import { chatOfData } from "../../shared/flow/runs/chat.js";
import { teacherPromptsOf } from "../../shared/flow/runs/teacher-prompts.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { Encoder } from "../../shared/ml/text/encoder.js";
import type { StudentModel } from "./named-model.js";

/** Rows that are looked at before a run starts; its learner looks at all of them. */
const headRows = 1000;

/**
 * What is wrong with a dataset's first rows: what they lack, and whether they become text and tokens.
 *
 * @param student undefined if it could not be read; then rows are not made into tokens
 * @throws NotFound or InvalidArgument if the dataset cannot be read
 */
export async function dataProblems(spec: RunSpecValid, needs: RowNeeds, student: StudentModel | undefined): Promise<Problem[]> {
  const { data } = spec;
  const rows = await readDataset(needs.path, columnsOf(data), headRows);
  const problems = rowProblems(rows, needs, await columnsIn(needs.path), rows.length < headRows);
  if (!student) return problems;
  const encoder = new Encoder(student.words, student.ends.ids, chatOfData(data, undefined), student.layout);
  const refusal = refusalOf(outcomesOf(rows, encoder, teacherPrompts(teacherPromptsOf(spec), data.chat)));
  return refusal ? [...problems, { fieldPath: `${needs.field}.path`, description: refusal }] : problems;
}
