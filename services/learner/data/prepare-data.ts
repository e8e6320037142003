import { RetortError } from "../../shared/base/errors.js";
import type { Item } from "../../shared/codec/examples.js";
import { toInt32 } from "../../shared/flow/arrays.js";
import { columnsIn } from "../../shared/flow/prompts/dataset.js";
import { checkRows, heldOutNeeds, type RowNeeds, trainingNeeds } from "../../shared/flow/prompts/needs.js";
import type { PlanRows } from "../../shared/flow/prompts/plan.js";
import { chatOfData, type ResolvedChat } from "../../shared/flow/runs/chat.js";
import type { EvaluationSettings } from "../../shared/flow/runs/evaluation.js";
import { resolveSampling, teacherName } from "../../shared/flow/runs/resolve.js";
import { stepToken } from "../../shared/flow/subjects.js";
import { Purpose } from "../../shared/gen/retort/v1/flow_pb.js";
import type { DataSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { type RunContext, waitFor } from "../context/run-context.js";
import type { StudentDescription } from "../model/train-host.js";
import { issueWriting } from "../tasks/issue.js";
import { type Dataset, type DatasetLimits, fitting, loadDataset } from "./dataset.js";

/** Everything a run reads: what it trains on and what it is measured with. */
export interface PreparedData extends Dataset {
  readonly heldOut: readonly Item[];
  /** The rows to plan steps over. */
  readonly rows: PlanRows;
}

/** Prompts of one dataset-writing task. */
const writingTaskSize = 32;

/**
 * Reads the dataset, has a teacher write what is to be written, and reads the held-out rows.
 *
 * @returns undefined if the run is to stop while the teacher writes
 */
export async function prepareData(context: RunContext, student: StudentDescription): Promise<PreparedData | undefined> {
  const { membership, host } = context;
  const { spec, run, runs, runId } = membership;
  const data = spec.data!;
  const limits: DatasetLimits = {
    maxPositions: student.maxPositions,
    maxNewTokens: Math.max(...run.phases.map(({ sampling }) => sampling.maxNewTokens)),
  };
  const chat = chatOfData(data, (await runs.get(runId)).created);
  const read = data.path ? await loadDataset(host, data, chat, trainingNeeds(spec, run), data.limit, limits) : undefined;
  const dataset = data.generate ? await writeTexts(context, read, student, limits) : read!;
  if (!dataset) return undefined;
  const { evaluation } = run;
  const needs = heldOutNeeds(spec, run);
  const { items, heldOut } =
    evaluation && needs
      ? await heldOutRows(host, data, chat, dataset.items, evaluation, needs, roomFor(evaluation, limits))
      : { items: dataset.items, heldOut: [] };
  return { ...dataset, items, heldOut, rows: planRows(items, trainingNeeds(spec, run)) };
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
  host: RunContext["host"],
  data: DataSpec,
  chat: ResolvedChat,
  items: readonly Item[],
  { path, holdOut, limit }: EvaluationSettings,
  needs: RowNeeds,
  limits: DatasetLimits,
): Promise<Pick<PreparedData, "items" | "heldOut">> {
  if (path) return { items, heldOut: (await loadDataset(host, data, chat, needs, limit, limits)).items };
  if (holdOut >= items.length)
    throw new RetortError("InvalidArgument", `is ${holdOut}, and the dataset has ${items.length} rows; leave some to train on`, {
      fieldPath: "evaluation.holdOut",
    });
  const rest = items.length - holdOut;
  const heldOut = fitting(items.slice(rest), data.maxPromptTokens, limits, "the held-out part of the dataset").items;
  checkRows(heldOut, needs, data.path ? await columnsIn(data.path) : []);
  return { items: items.slice(0, rest), heldOut };
}

/** The limits of held-out rows, which may be completed at another length than the training rows. */
const roomFor = ({ maxNewTokens }: EvaluationSettings, limits: DatasetLimits): DatasetLimits =>
  maxNewTokens ? { ...limits, maxNewTokens } : limits;

/** Has a teacher complete the dataset's prompts, or write whole texts whose beginnings become prompts. */
async function writeTexts(
  context: RunContext,
  read: Dataset | undefined,
  student: StudentDescription,
  limits: DatasetLimits,
): Promise<Dataset | undefined> {
  const { membership, onStep } = context;
  const { spec, run } = membership;
  const generate = spec.data!.generate!;
  if (!read && student.bosId === undefined)
    throw new RetortError(
      "InvalidArgument",
      "the student's tokenizer has no start token to write texts from; give data.path with prompts",
      { fieldPath: "data.generate" },
    );
  const blank: Item = {
    promptIds: Int32Array.of(student.bosId ?? 0),
    promptText: "",
    completionIds: undefined,
    reference: "",
    teacher: "",
  };
  const items = read?.items ?? Array.from({ length: generate.texts }, () => blank);
  onStep(0, `the teacher writes ${items.length} texts`);
  const sampling = generate.sampling ? resolveSampling(generate.sampling) : { ...run.phases[0]!.sampling, temperature: 1 };
  const request = {
    purpose: Purpose.DATASET,
    step: 0,
    attempt: 1,
    items,
    sampling,
    samplesPerPrompt: 1,
    sampler: teacherName(generate.teacher || run.teachers[0]!),
    scored: false,
    rewarded: false,
    firstTask: 0,
    promptsPerTask: writingTaskSize,
    signal: {},
  } as const;
  const found = await waitFor(context, stepToken(request), await issueWriting(membership, request));
  if (!found) return undefined;
  const sequences = found.flatMap(({ rollout }) => rollout!.sequences.filter(({ failure }) => !failure));
  const written = sequences.map((sequence) => {
    const ids = [toInt32(sequence.promptIds, "promptIds"), toInt32(sequence.completionIds, "completionIds")] as const;
    return read ? { ...items[sequence.index]!, completionIds: ids[1] } : cut(ids[0], ids[1], generate.promptTokens || 16);
  });
  const texts = await context.host.decode(written.map(({ promptIds }) => promptIds));
  return fitting(
    written.map((item, i) => (read ? item : { ...item, promptText: texts[i]! })),
    0,
    limits,
    "the written texts",
  );
}

/** A text's first tokens as the prompt, the rest as its completion. A text that is shorter keeps one token to complete. */
function cut(start: Int32Array, text: Int32Array, promptTokens: number): Item {
  const at = Math.min(promptTokens - start.length, text.length - 1);
  const promptIds = new Int32Array(start.length + at);
  promptIds.set(start);
  promptIds.set(text.subarray(0, at), start.length);
  return { promptIds, promptText: "", completionIds: text.slice(at), reference: "", teacher: "" };
}
