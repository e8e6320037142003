import { create } from "@bufbuild/protobuf";
import { RetortError } from "../../shared/base/errors.js";
import { type Item, outcomesOf, refusalOf } from "../../shared/codec/examples.js";
import { columnsOf, readDataset } from "../../shared/flow/prompts/dataset.js";
import { chatOfData } from "../../shared/flow/runs/chat.js";
import { DataSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { textLayoutOf } from "../../shared/ml/models/architectures/table.js";
import { type InspectedModel, inspectModel } from "../../shared/ml/models/files/inspect-model.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";
import { Encoder } from "../../shared/ml/text/encoder.js";
import { type ColumnOptions, foundColumns, type NamedColumns } from "./found-columns.js";

/** Rows that are looked at, as of a run before it starts. */
const mostRows = 1000;

/** What a model directory is, as far as settings follow from it. */
export interface SurveyedModel {
  readonly directory: string;
  readonly family: string;
  readonly parameters: number;
  /** Tokens that a text may have. */
  readonly context: number;
  readonly dtype: string;
  readonly hasChatTemplate: boolean;
  /** Whether the directory is a PEFT adapter's. */
  readonly adapted: boolean;
}

/** Lengths in tokens. */
export interface Lengths {
  readonly median: number;
  /** 95 of 100 have at most so many. */
  readonly most: number;
  readonly longest: number;
}

/** What a dataset's first rows are. */
export interface SurveyedData {
  readonly path: string;
  readonly columns: NamedColumns;
  readonly rows: number;
  /** False if there are more rows than were looked at. */
  readonly isWhole: boolean;
  /** Whether plain prompts are to be a user's message. */
  readonly chat: boolean;
  readonly prompts: Lengths;
  /** Undefined where hardly any row has a completion. */
  readonly completions: Lengths | undefined;
  readonly references: Lengths | undefined;
  /** Whether references end as GSM8K's do: "#### 42". */
  readonly numeric: boolean;
}

/** What a spec is made for. */
export interface Survey {
  readonly student: SurveyedModel;
  readonly teacher: SurveyedModel | undefined;
  readonly data: SurveyedData;
  /** Rows to be measured, if they are a dataset of their own. */
  readonly heldOut?: string | undefined;
}

/** What to look at. */
export interface SurveyOptions extends ColumnOptions {
  readonly student: string;
  readonly teacher?: string;
  readonly data: string;
  readonly heldOut?: string;
}

/**
 * Looks at models and data: configs, tokenizers and headers of weights, and up to 1000 rows as the student reads them.
 *
 * @throws NotFound, DataLoss or InvalidArgument naming the file and the way out
 */
export async function surveyOf({
  student: directory,
  teacher,
  data,
  heldOut,
  prompt,
  completion,
  reference,
}: SurveyOptions): Promise<Survey> {
  const student = await inspectModel(directory);
  const own = modelOf(directory, student);
  return {
    student: own,
    teacher: teacher === undefined ? undefined : modelOf(teacher, await inspectModel(teacher)),
    data: await dataOf(data, await foundColumns(data, { prompt, completion, reference }), student),
    heldOut,
  };
}

const modelOf = (directory: string, { config, dtype, tokenizer, adapted }: InspectedModel): SurveyedModel => ({
  directory,
  family: config.architecture,
  parameters: parameterCount(config),
  context: config.maxPositions,
  dtype,
  hasChatTemplate: tokenizer.templates.has("default") && textLayoutOf(config) === "one",
  adapted,
});

async function dataOf(path: string, columns: NamedColumns, student: InspectedModel): Promise<SurveyedData> {
  const { config, tokenizer, ends } = student;
  const layout = textLayoutOf(config);
  const rows = await readDataset(path, columnsOf(create(DataSpecSchema, columns)), mostRows + 1);
  const seen = rows.slice(0, mostRows);
  const isPlain = seen.some(({ prompt }) => typeof prompt === "string");
  const chat = isPlain && modelOf("", student).hasChatTemplate;
  const settings = chatOfData(create(DataSpecSchema, { chat }), undefined);
  const outcomes = outcomesOf(seen, new Encoder(tokenizer, ends.ids, settings, layout));
  const items = outcomes.flatMap(({ item }) => item ?? []);
  if (items.length === 0) throw new RetortError("InvalidArgument", refusalOf(outcomes) ?? `${path} has no rows`);
  const references = items.flatMap(({ reference }) => (reference ? [reference] : []));
  const completions = items.flatMap(({ completionIds }) => completionIds?.length ?? []);
  return {
    path,
    columns,
    rows: seen.length,
    isWhole: rows.length <= mostRows,
    chat,
    prompts: lengthsOf(items.map(({ promptIds }: Item) => promptIds.length)),
    completions: isMost(completions, items) ? lengthsOf(completions) : undefined,
    references: isMost(references, items) ? lengthsOf(tokenizer.encodeAll(references).map(({ length }) => length)) : undefined,
    numeric: references.length > 0 && references.every((reference) => /####\s*-?[\d.,]+\s*$/.test(reference)),
  };
}

const isMost = (some: readonly unknown[], all: readonly unknown[]): boolean => some.length > 0.9 * all.length;

function lengthsOf(lengths: readonly number[]): Lengths {
  const sorted = [...lengths].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { median: at(0.5), most: at(0.95), longest: at(1) };
}
