import { type Problem, RetortError } from "../../shared/base/errors.js";
import { outcomesOf, refusalOf } from "../../shared/codec/examples.js";
import { columnsIn, columnsOf, readDataset } from "../../shared/flow/prompts/dataset.js";
import { heldOutNeeds, type RowNeeds, rowProblems, trainingNeeds } from "../../shared/flow/prompts/needs.js";
import { chatOfData } from "../../shared/flow/runs/chat.js";
import { outputProblems } from "../../shared/flow/runs/output.js";
import { type ResolvedRun, resolveRun } from "../../shared/flow/runs/resolve.js";
import { initProblems } from "../../shared/flow/runs/sizes.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { classOf } from "../../shared/ml/classification/labels.js";
import { inspectClassifier } from "../../shared/ml/classification/open-classifier.js";
import { objectiveProblems } from "../../shared/ml/losses/objective.js";
import { openLanguageModel } from "../../shared/ml/models/checkpoint/check.js";
import type { ModelConfig } from "../../shared/ml/models/config/model-config.js";
import { readDonor } from "../../shared/ml/models/files/donor.js";
import { Encoder } from "../../shared/ml/text/encoder.js";
import { type Ends, endsOf } from "../../shared/ml/text/ends.js";
import { Tokenizer } from "../../shared/ml/text/tokenizer.js";
import { commonRows, type NamedModel, namedTeacher, vocabularyProblems } from "./vocabulary.js";

/** What a model directory says of its model, without the weights. */
export interface Inspected {
  /** Undefined for a student that is made from scratch. */
  readonly config: ModelConfig | undefined;
  /** Rows of the vocabulary. */
  readonly rows: number;
  readonly tokenizer: Tokenizer;
  readonly ends: Ends;
  /** What is strange about the directory's files, and allowed; each names the directory. */
  readonly warnings?: readonly string[];
}

/** Everything that is wrong between a spec and the models and datasets it names. The spec itself must be valid. */
export async function checkModels(spec: RunSpec): Promise<Problem[]> {
  const problems: Problem[] = [];
  const attempt = async <T>(fieldPath: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      problems.push({ fieldPath, description: RetortError.from(error).message });
      return undefined;
    }
  };
  const run = resolveRun(spec);
  const student = await attempt(studentField(spec), () => inspectStudent(spec));
  if (student && spec.student!.init) problems.push(...initProblems(spec.student!.init, student.rows));
  const teachers: NamedModel[] = [];
  for (const [i, { model }] of spec.teachers.entries()) {
    const teacher = await attempt(`teachers[${i}].model`, () => inspect(model));
    if (teacher) teachers.push(namedTeacher(spec, i, teacher));
  }
  if (student) problems.push(...vocabularyProblems(spec, namedStudent(spec, student), teachers));
  if (teachers.length) problems.push(...checkObjectives(run, commonRows(spec, [...(student ? [student] : []), ...teachers])));
  for (const [i, { kind, model, label }] of spec.rewards.entries()) {
    if (kind !== "classifier") continue;
    const labels = await attempt(`rewards[${i}].model`, () => inspectClassifier(model));
    if (labels) await attempt(`rewards[${i}].label`, async () => classOf(label, labels));
  }
  for (const needs of [
    spec.data!.path ? trainingNeeds(spec, run) : undefined,
    spec.evaluation?.path ? heldOutNeeds(spec, run) : undefined,
  ]) {
    const found = needs && (await attempt(`${needs.field}.path`, () => checkHead(spec, needs, student)));
    problems.push(...(found ?? []));
  }
  // In a cluster it is the learner's pod that writes; the volume may be read-only here.
  problems.push(...(await outputProblems(spec, process.env.KUBERNETES_SERVICE_HOST === undefined)));
  return problems;
}

/** Rows that are looked at before a run starts; its learner looks at all of them. */
const headRows = 1000;

/** What is wrong with a dataset's first rows: what they lack, and whether they become text and tokens. */
async function checkHead(spec: RunSpec, needs: RowNeeds, student: Inspected | undefined): Promise<Problem[]> {
  const rows = await readDataset(needs.path, columnsOf(spec.data!), headRows);
  const problems = rowProblems(rows, needs, await columnsIn(needs.path), rows.length < headRows);
  if (!student) return problems;
  const encoder = new Encoder(student.tokenizer, student.ends.ids, chatOfData(spec.data, undefined));
  const refusal = refusalOf(outcomesOf(rows, encoder));
  return refusal ? [...problems, { fieldPath: `${needs.field}.path`, description: refusal }] : problems;
}

/**
 * Reads a model directory's config and tokenizer, and of its weights the headers: whether every tensor of the config is there.
 *
 * @throws NotFound, DataLoss or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function inspect(directory: string): Promise<Inspected> {
  const { config, warnings } = await openLanguageModel(directory);
  const tokenizer = await Tokenizer.load(directory);
  return { config, rows: config.vocabSize, tokenizer, ends: endsOf(tokenizer, config.eosIds), warnings };
}

/** Reads what a run's student will be. */
async function inspectStudent({ student, teachers }: RunSpec): Promise<Inspected> {
  if (!student!.init) return inspect(student!.model);
  const { tokenizer, ends, shared } = await readDonor(student!.init.tokenizer || teachers[0]!.model);
  return { config: undefined, rows: Number(shared.vocab_size), tokenizer, ends };
}

/** A run's student, and its teachers in the spec's order. */
export interface RunModels {
  readonly student: NamedModel;
  readonly teachers: readonly NamedModel[];
}

/** Reads all models of a run, once for all that is asked of them. */
export async function inspectModels(spec: RunSpec): Promise<RunModels> {
  const student = namedStudent(spec, await inspectStudent(spec));
  const teachers = await Promise.all(spec.teachers.map(async ({ model }, i) => namedTeacher(spec, i, await inspect(model))));
  return { student, teachers };
}

const studentField = ({ student }: RunSpec): string => (student!.init ? "student.init.tokenizer" : "student.model");

/** A run's student as a named model. */
const namedStudent = (spec: RunSpec, student: Inspected): NamedModel => ({
  ...student,
  field: studentField(spec),
  name: "the student",
});

/** What the losses refuse of a run's objectives. @param vocab size of the vocabulary, if it is known */
export const checkObjectives = ({ phases }: ResolvedRun, vocab?: number): Problem[] =>
  phases.flatMap(({ objective }, i) =>
    objectiveProblems(objective, vocab).map(({ fieldPath, description }) => ({ fieldPath: `phases[${i}].${fieldPath}`, description })),
  );
