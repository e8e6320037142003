import type { Command } from "commander";
import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import { limitsOf, misfit, outcomesOf } from "../../shared/codec/examples.js";
import { readingOf } from "../../shared/codec/teacher-words.js";
import { columnsOf, readDataset } from "../../shared/flow/prompts/dataset.js";
import { chatOfData } from "../../shared/flow/runs/chat.js";
import { answerRoleOf, resolveEnvironment } from "../../shared/flow/runs/environment.js";
import { resolveEvaluation } from "../../shared/flow/runs/evaluation.js";
import { evaluatedTokens, sampledTokens } from "../../shared/flow/runs/new-tokens.js";
import { resolveRun } from "../../shared/flow/runs/resolve.js";
import { teacherPromptsOf } from "../../shared/flow/runs/teacher-prompts.js";
import type { DataSpec, RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { textLayoutOf } from "../../shared/ml/models/architectures/table.js";
import { readConfig } from "../../shared/ml/models/checkpoint/check.js";
import { freshPositions } from "../../shared/ml/models/fresh-config.js";
import { addCommand, print, wholeNumber } from "../command.js";
import { readSpec } from "../runs/runs.js";
import { type ModelWords, wordsOf } from "./model-words.js";
import { rowJson, spread, textOf } from "./shown-rows.js";

interface DataOptions {
  readonly row?: number;
  readonly heldOut?: boolean;
}

/** Rows that are shown where none is named. */
const shownRows = 3;

/** Adds `retort data`. */
export function addDataCommand(program: Command): void {
  addCommand(
    program,
    "Models and data:",
    "data <spec>",
    "show a run's rows as they will be learnt: text, token ids, mask, what is dropped",
    [
      ["data run.yaml", "how many rows are usable, why others are not, and the first ones"],
      ["data run.yaml --row 17", "one row, token by token"],
      ["data run.yaml --held-out --json", "the rows of the evaluation, for scripts"],
    ],
  )
    .option("--row <n>", "show this row, from 1", wholeNumber(1))
    .option("--held-out", "the rows of `evaluation.path` instead of those of `data.path`")
    .action((path: string, options: DataOptions) => show(program, path, options));
}

async function show(program: Command, path: string, { row, heldOut = false }: DataOptions): Promise<void> {
  const spec = await readSpec(path);
  const { data } = spec;
  if (!data) throw new RetortError("InvalidArgument", `${path} has no data; name the rows to train on with data.path`);
  const { encoder, tokenizer, maxPositions } = await studentOf(spec, path);
  const { file, limit, maxNewTokens } = heldOut ? heldOutRows(spec, path) : trainedRows(spec, data, path);
  const rows = await readDataset(file, columnsOf(data), row === undefined ? limit : row);
  if (row !== undefined && row > rows.length)
    throw new RetortError("InvalidArgument", `--row is ${row}, and ${file} has ${counted(rows.length, "row")}`);
  const environment = resolveEnvironment(spec.environment);
  const room = maxNewTokens + (environment?.maxReplyTokens ?? 0);
  const limits = limitsOf(data.maxPromptTokens, maxPositions, room);
  const reading = await readingOf(teacherPromptsOf(spec), chatOfData(data, undefined));
  const outcomes = outcomesOf(row === undefined ? rows : rows.slice(row - 1), encoder, reading, answerRoleOf(environment));
  const seen = outcomes.map((outcome) => ({ outcome, dropped: outcome.item && misfit(outcome.item, limits) }));
  const reasons: Record<string, number> = {};
  for (const { dropped } of seen) if (dropped) reasons[dropped] = (reasons[dropped] ?? 0) + 1;
  const refused = outcomes.flatMap((one) =>
    one.refusal === undefined ? [] : [{ row: one.row.number, where: one.row.where, reason: one.refusal }],
  );
  const kept = seen.flatMap(({ outcome, dropped }) => (outcome.item && !dropped ? [outcome.item] : []));
  const shown = seen.slice(0, row === undefined ? shownRows : 1).map(({ outcome, dropped }) => rowJson(outcome, dropped, tokenizer));
  const summary = {
    data: file,
    rows: outcomes.length,
    usable: kept.length,
    completed: kept.filter(({ completionIds }) => completionIds).length,
    promptTokens: spread(kept.map(({ promptIds }) => promptIds.length)),
    completionTokens: spread(kept.flatMap(({ completionIds }) => (completionIds ? [completionIds.length] : []))),
    dropped: reasons,
    refused,
  };
  print(program, { ...summary, shown }, textOf(summary, shown, tokenizer, row !== undefined));
  // What a run would not begin with is an error here too, after everything has been shown.
  if (refused.length) process.exitCode = new RetortError("InvalidArgument", "").exitCode;
}

/** Rows to look at. */
interface Source {
  readonly file: string;
  /** How many; 0 takes all. */
  readonly limit: number;
  readonly maxNewTokens: number;
}

/** The rows that are trained on. @throws InvalidArgument if the spec names none */
function trainedRows(spec: RunSpec, { path: file, limit }: DataSpec, path: string): Source {
  if (!file) throw new RetortError("InvalidArgument", `${path} names no data.path with rows to show`);
  return { file, limit, maxNewTokens: sampledTokens(spec, resolveRun(spec))?.maxNewTokens ?? 0 };
}

/** The rows of the evaluation. @throws InvalidArgument if the spec names none */
function heldOutRows(spec: RunSpec, path: string): Source {
  const settings = resolveEvaluation(spec.evaluation);
  if (!settings?.path) throw new RetortError("InvalidArgument", `${path} names no evaluation.path with rows to show`);
  return { file: settings.path, limit: settings.limit, maxNewTokens: evaluatedTokens(spec, resolveRun(spec))?.maxNewTokens ?? 0 };
}

/** The student's words, and how long a sequence may be. @throws InvalidArgument if the spec has no student */
async function studentOf({ student, teachers, data }: RunSpec, path: string): Promise<ModelWords & { readonly maxPositions: number }> {
  const { model, init } = student ?? {};
  const directory = model || init?.tokenizer || teachers[0]?.model;
  if (!directory) throw new RetortError("InvalidArgument", `${path} names no student; add student.model or student.init`);
  const words = await wordsOf(directory, chatOfData(data, undefined), init && textLayoutOf(init));
  const maxPositions = init ? freshPositions(init) : (await readConfig(directory)).maxPositions;
  return { ...words, maxPositions };
}
