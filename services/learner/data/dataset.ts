import { RetortError } from "../../shared/base/errors.js";
import type { WorkerClient } from "../../shared/base/workers.js";
import { type Item, limitsOf, misfit } from "../../shared/codec/examples.js";
import { columnsOf } from "../../shared/flow/prompts/dataset.js";
import type { RowNeeds } from "../../shared/flow/prompts/needs.js";
import type { ResolvedChat } from "../../shared/flow/runs/chat.js";
import type { TeacherPromptSettings } from "../../shared/flow/runs/teacher-prompts.js";
import type { DataSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { TrainHost } from "../model/train-host.js";

/** Items, and how many rows were left out, by reason. */
export interface Dataset {
  readonly items: readonly Item[];
  readonly dropped: Readonly<Record<string, number>>;
}

/** What a row must fit into, in tokens. */
export interface DatasetLimits {
  readonly maxPositions: number;
  /** Room that each prompt must leave. */
  readonly maxNewTokens: number;
  /** And for an environment's answers; 0 where there is none. */
  readonly maxReplyTokens: number;
}

/** Where rows come from, and how they become text. */
export interface DatasetSource {
  readonly data: DataSpec;
  readonly chat: ResolvedChat;
  readonly teacherPrompts: readonly TeacherPromptSettings[];
  /** The role in which an environment answers the student; undefined where none does. */
  readonly answerRole: string | undefined;
}

/**
 * Reads and tokenises a dataset. Rows that do not fit are dropped and counted, never cut.
 *
 * @throws InvalidArgument if the rows are not what the run needs, or none of them fits
 */
export async function loadDataset(
  host: WorkerClient<TrainHost>,
  { data, ...source }: DatasetSource,
  needs: RowNeeds,
  limit: number,
  limits: DatasetLimits,
): Promise<Dataset> {
  const items = await host.readItems({ path: needs.path, columns: columnsOf(data), limit, needs, ...source });
  return fitting(items, data.maxPromptTokens, limits, needs.path);
}

/** Keeps the items that fit the model's context. @throws InvalidArgument if none does */
export function fitting(
  items: readonly Item[],
  maxPromptTokens: number,
  { maxPositions, maxNewTokens, maxReplyTokens }: DatasetLimits,
  what: string,
): Dataset {
  const limits = limitsOf(maxPromptTokens, maxPositions, maxNewTokens + maxReplyTokens);
  const dropped: Record<string, number> = {};
  const kept = items.filter((item) => {
    const reason = misfit(item, limits);
    if (reason) dropped[reason] = (dropped[reason] ?? 0) + 1;
    return !reason;
  });
  if (kept.length === 0) {
    const lower = [
      ...(maxNewTokens ? [`lower sampling.maxNewTokens (${maxNewTokens})`] : []),
      ...(maxReplyTokens ? [`lower environment.maxReplyTokens (${maxReplyTokens})`] : []),
    ];
    const ways = ["shorten them", ...lower].join(", ");
    throw new RetortError(
      "InvalidArgument",
      `no row of ${what} is usable (${JSON.stringify(dropped)}); prompts may have at most ${limits.longestPrompt} tokens here: ${ways}, or use a model with more positions (${maxPositions})`,
      { fieldPath: "data" },
    );
  }
  return { items: kept, dropped };
}
