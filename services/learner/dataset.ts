import { RetortError } from "../shared/base/errors.js";
import type { WorkerClient } from "../shared/base/workers.js";
import { columnsIn, columnsOf, type Row, readDataset } from "../shared/flow/prompts/dataset.js";
import { checkRows, type RowNeeds } from "../shared/flow/prompts/needs.js";
import type { DataSpec } from "../shared/gen/retort/v1/run_pb.js";
import type { TrainHost } from "./train-host.js";

/** A prompt in the student's tokens, with what the dataset says about it. */
export interface Item {
  readonly promptIds: Int32Array;
  readonly promptText: string;
  /** The end token included; absent where the dataset has no completion. */
  readonly completionIds: Int32Array | undefined;
  readonly reference: string;
  readonly teacher: string;
}

/** Items, and how many rows were left out, by reason. */
export interface Dataset {
  readonly items: readonly Item[];
  readonly dropped: Readonly<Record<string, number>>;
}

export interface DatasetLimits {
  readonly maxPositions: number;
  /** Room that each prompt must leave. */
  readonly maxNewTokens: number;
  readonly eosId: number | undefined;
}

/**
 * Reads and tokenises a dataset. Rows that do not fit are dropped and counted, never cut.
 *
 * @throws InvalidArgument if the rows are not what the run needs, or none of them fits
 */
export async function loadDataset(
  host: WorkerClient<TrainHost>,
  data: DataSpec,
  needs: RowNeeds,
  limit: number,
  limits: DatasetLimits,
): Promise<Dataset> {
  const { path } = needs;
  const rows = await readDataset(path, columnsOf(data), limit);
  checkRows(rows, needs, await columnsIn(path));
  const prompts = await Promise.all(rows.map((row) => promptText(host, row)));
  const promptIds = await host.encode(prompts, true);
  const completionIds = await host.encode(
    rows.map(({ completion }) => completion ?? ""),
    false,
  );
  const items = rows.map((row, i) => ({
    promptIds: promptIds[i]!,
    promptText: prompts[i]!,
    completionIds: row.completion === undefined ? undefined : withEnd(completionIds[i]!, limits.eosId),
    reference: row.reference ?? "",
    teacher: row.teacher ?? "",
  }));
  return fitting(items, data.maxPromptTokens, limits, path);
}

/** Keeps the items that fit the model's context. @throws InvalidArgument if none does */
export function fitting(
  items: readonly Item[],
  maxPromptTokens: number,
  { maxPositions, maxNewTokens }: DatasetLimits,
  what: string,
): Dataset {
  const longest = Math.min(maxPromptTokens || Number.POSITIVE_INFINITY, maxPositions - maxNewTokens);
  const dropped: Record<string, number> = {};
  const kept = items.filter((item) => {
    const reason = misfit(item, longest, maxPositions);
    if (reason) dropped[reason] = (dropped[reason] ?? 0) + 1;
    return !reason;
  });
  if (kept.length === 0) {
    throw new RetortError(
      "InvalidArgument",
      `no row of ${what} is usable (${JSON.stringify(dropped)}); prompts may have at most ${longest} tokens here: shorten them, lower sampling.maxNewTokens (${maxNewTokens}), or use a model with more positions (${maxPositions})`,
      { fieldPath: "data" },
    );
  }
  return { items: kept, dropped };
}

function misfit({ promptIds, completionIds }: Item, longest: number, maxPositions: number): string | undefined {
  if (promptIds.length === 0) return "empty prompt";
  if (promptIds.length > longest) return "prompt too long";
  if (completionIds && promptIds.length + completionIds.length > maxPositions) return "completion too long";
  return undefined;
}

async function promptText(host: WorkerClient<TrainHost>, { prompt }: Row): Promise<string> {
  return typeof prompt === "string" ? prompt : host.applyChatTemplate(prompt as { role: string; content: string }[]);
}

function withEnd(ids: Int32Array, eosId: number | undefined): Int32Array {
  if (eosId === undefined || ids.at(-1) === eosId) return ids;
  const longer = new Int32Array(ids.length + 1);
  longer.set(ids);
  longer[ids.length] = eosId;
  return longer;
}
