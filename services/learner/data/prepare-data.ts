import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import type { WorkerClient } from "../../shared/base/workers.js";
import type { Item } from "../../shared/codec/examples.js";
import { columnsIn } from "../../shared/flow/prompts/dataset.js";
import { checkRows, heldOutNeeds, type RowNeeds, trainingNeeds } from "../../shared/flow/prompts/needs.js";
import type { PlanRows } from "../../shared/flow/prompts/plan.js";
import { chatOfData } from "../../shared/flow/runs/chat.js";
import { answerRoleOf } from "../../shared/flow/runs/environment.js";
import type { EvaluationSettings } from "../../shared/flow/runs/evaluation.js";
import { evaluatedTokens, sampledTokens } from "../../shared/flow/runs/new-tokens.js";
import { teacherPromptsOf } from "../../shared/flow/runs/teacher-prompts.js";
import type { RunContext } from "../context/run-context.js";
import type { StudentDescription, TrainHost } from "../model/train-host.js";
import { type Dataset, type DatasetLimits, type DatasetSource, fitting, loadDataset } from "./dataset.js";
import { writeTexts } from "./write-texts.js";

/** Everything a run reads: what it trains on and what it is measured with. */
export interface PreparedData extends Dataset {
  readonly heldOut: readonly Item[];
  /** The rows to plan steps over. */
  readonly rows: PlanRows;
}

/**
 * Reads the dataset, has a teacher write what is to be written, and reads the held-out rows.
 *
 * @returns undefined if the run is to stop while the teacher writes
 */
export async function prepareData(context: RunContext, student: StudentDescription): Promise<PreparedData | undefined> {
  const { membership, host } = context;
  const { spec, run, runs, runId } = membership;
  const { data } = spec;
  const limits: DatasetLimits = {
    maxPositions: student.maxPositions,
    maxNewTokens: sampledTokens(spec, run)?.maxNewTokens ?? 0,
    maxReplyTokens: run.environment?.maxReplyTokens ?? 0,
  };
  const source = {
    data,
    chat: chatOfData(data, (await runs.get(runId)).created),
    teacherPrompts: teacherPromptsOf(spec),
    answerRole: answerRoleOf(run.environment),
  };
  const training = trainingNeeds(spec, run);
  const read = data.path ? await loadDataset(host, source, training, data.limit, limits) : undefined;
  const dataset = data.generate ? await writeTexts(context, data.generate, read, student, limits) : read;
  if (!dataset) return undefined;
  const { evaluation } = run;
  const needs = heldOutNeeds(spec, run);
  const evaluated = evaluatedTokens(spec, run);
  const { items, heldOut } =
    evaluation && needs && evaluated
      ? await heldOutRows(host, source, dataset.items, needs, {
          ...evaluation,
          limits: { ...limits, maxNewTokens: evaluated.maxNewTokens },
        })
      : { items: dataset.items, heldOut: [] };
  return { ...dataset, items, heldOut, rows: planRows(items, training) };
}

/** @throws InvalidArgument if steps need completions and no row that is left has one */
function planRows(items: readonly Item[], { completions, path }: RowNeeds): PlanRows {
  const completed = [...items.keys()].filter((i) => items[i]!.completionIds);
  if (completions && completed.length === 0)
    throw new RetortError("InvalidArgument", `${completions}, and none of the rows of ${path} that are left to train on has one`, {
      fieldPath: "data",
    });
  return { count: items.length, ...(completed.length < items.length ? { completed } : {}) };
}

/** Reads the held-out rows, or takes them off the end of the dataset. */
async function heldOutRows(
  host: WorkerClient<TrainHost>,
  source: DatasetSource,
  items: readonly Item[],
  needs: RowNeeds,
  { path, holdOut, limit, limits }: Pick<EvaluationSettings, "path" | "holdOut" | "limit"> & { readonly limits: DatasetLimits },
): Promise<Pick<PreparedData, "items" | "heldOut">> {
  if (path) return { items, heldOut: (await loadDataset(host, source, needs, limit, limits)).items };
  if (holdOut >= items.length)
    throw new RetortError("InvalidArgument", `is ${holdOut}, and the dataset has ${counted(items.length, "row")}; leave some to train on`, {
      fieldPath: "evaluation.holdOut",
    });
  const { data } = source;
  const rest = items.length - holdOut;
  const heldOut = fitting(items.slice(rest), data.maxPromptTokens, limits, "the held-out part of the dataset").items;
  checkRows(heldOut, needs, data.path ? await columnsIn(data.path) : []);
  return { items: items.slice(0, rest), heldOut };
}
