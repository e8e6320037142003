import { join } from "node:path";
import type { Command } from "commander";
import { RetortError } from "../../shared/base/errors.js";
import { limitsOf, misfit, type Outcome, outcomesOf } from "../../shared/codec/examples.js";
import { columnsOf, readDataset } from "../../shared/flow/prompts/dataset.js";
import { chatOfData } from "../../shared/flow/runs/chat.js";
import { resolveEvaluation } from "../../shared/flow/runs/evaluation.js";
import { resolveRun } from "../../shared/flow/runs/resolve.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { readModelJson } from "../../shared/ml/models/files/load-tensor.js";
import { parseConfig } from "../../shared/ml/models/parse-config.js";
import type { Tokenizer } from "../../shared/ml/text/tokenizer.js";
import { addCommand, print, wholeNumber } from "../command.js";
import { readSpec } from "../runs/runs.js";
import { type ModelWords, wordsOf } from "./model-words.js";

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
  const { encoder, tokenizer, maxPositions } = await studentOf(spec);
  const { file, limit, maxNewTokens } = source(spec, path, heldOut);
  const rows = await readDataset(file, columnsOf(spec.data!), row === undefined ? limit : row);
  if (row !== undefined && row > rows.length)
    throw new RetortError("InvalidArgument", `--row is ${row}, and ${file} has ${rows.length} rows`);
  const limits = limitsOf(heldOut ? 0 : spec.data!.maxPromptTokens, maxPositions, maxNewTokens);
  const outcomes = outcomesOf(row === undefined ? rows : rows.slice(row - 1), encoder);
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

/** Which rows to look at. @throws InvalidArgument if the spec names none */
function source(spec: RunSpec, path: string, heldOut: boolean): { file: string; limit: number; maxNewTokens: number } {
  const run = resolveRun(spec);
  const longest = Math.max(...run.phases.map(({ sampling }) => sampling.maxNewTokens));
  const settings = resolveEvaluation(spec.evaluation);
  const file = heldOut ? settings?.path : spec.data!.path;
  if (!file) throw new RetortError("InvalidArgument", `${path} names no ${heldOut ? "evaluation.path" : "data.path"} with rows to show`);
  return heldOut
    ? { file, limit: settings!.limit, maxNewTokens: settings!.maxNewTokens || longest }
    : { file, limit: spec.data!.limit, maxNewTokens: longest };
}

/** The student's words, and how long a sequence may be. */
async function studentOf({ student, teachers, data }: RunSpec): Promise<ModelWords & { readonly maxPositions: number }> {
  const { model, init } = student!;
  const words = await wordsOf(model || init!.tokenizer || teachers[0]!.model, chatOfData(data, undefined));
  const maxPositions = init
    ? init.maxPositions || 256
    : parseConfig(await readModelJson(model, "config.json"), {}, join(model, "config.json")).maxPositions;
  return { ...words, maxPositions };
}

/** A row as it is shown. */
interface ShownRow {
  readonly row: number;
  readonly where: string;
  readonly refused?: string;
  readonly dropped?: string;
  readonly prompt?: string;
  readonly completion?: string;
  /** Of prompt and completion together. */
  readonly ids?: readonly number[];
  /** 1 for what is learnt. */
  readonly mask?: readonly (0 | 1)[];
}

function rowJson({ row, item, refusal }: Outcome, dropped: string | undefined, tokenizer: Tokenizer): ShownRow {
  const { number, where } = row;
  if (!item) return { row: number, where, refused: refusal };
  const completion = item.completionIds ?? new Int32Array();
  return {
    row: number,
    where,
    ...(dropped ? { dropped } : {}),
    prompt: item.promptText,
    ...(item.completionIds ? { completion: tokenizer.decode(completion, { skipSpecial: false }) } : {}),
    ids: [...item.promptIds, ...completion],
    mask: [...Array.from(item.promptIds, () => 0 as const), ...Array.from(completion, () => 1 as const)],
  };
}

const spread = (lengths: readonly number[]): { median: number; longest: number } | undefined =>
  lengths.length
    ? { median: [...lengths].sort((a, b) => a - b)[lengths.length >> 1]!, longest: lengths.reduce((a, b) => Math.max(a, b)) }
    : undefined;

interface Summary {
  readonly data: string;
  readonly rows: number;
  readonly usable: number;
  readonly completed: number;
  readonly promptTokens: ReturnType<typeof spread>;
  readonly completionTokens: ReturnType<typeof spread>;
  readonly dropped: Readonly<Record<string, number>>;
  readonly refused: readonly { readonly where: string; readonly reason: string }[];
}

/** Refused rows that are listed. */
const listedRows = 20;

function textOf(summary: Summary, shown: readonly ShownRow[], tokenizer: Tokenizer, whole: boolean): string {
  const { data, rows, usable, completed, promptTokens, completionTokens, dropped, refused } = summary;
  const tokens = (name: string, at: ReturnType<typeof spread>) =>
    at ? `; ${name} tokens: median ${at.median}, longest ${at.longest}` : "";
  const lines = whole
    ? []
    : [
        `${data}: ${rows} rows, ${usable} usable, ${completed} of them with a completion${tokens("prompt", promptTokens)}${tokens("completion", completionTokens)}`,
        ...Object.entries(dropped).map(([reason, count]) => `dropped: ${reason}: ${count}`),
        ...refused.slice(0, listedRows).map(({ where, reason }) => `refused: ${where}: ${reason}`),
        ...(refused.length > listedRows ? [`refused: and ${refused.length - listedRows} more`] : []),
      ];
  for (const one of shown) lines.push("", ...rowLines(one, tokenizer, whole));
  return lines.join("\n").trimStart();
}

function rowLines(
  { row, where, refused, dropped, prompt, completion, ids, mask }: ShownRow,
  tokenizer: Tokenizer,
  whole: boolean,
): string[] {
  const head = `row ${row} (${where})`;
  if (refused !== undefined) return [`${head} is refused: ${refused}`];
  const texts = [
    dropped ? `${head} is dropped: ${dropped}` : head,
    `  prompt     ${JSON.stringify(prompt)}`,
    `  completion ${completion === undefined ? "none: the student writes it" : JSON.stringify(completion)}`,
  ];
  if (!whole)
    return [...texts, `  ids        ${ids!.filter((_, i) => !mask![i]).join(" ")} | ${ids!.filter((_, i) => mask![i]).join(" ")}`];
  const width = Math.max(...ids!.map((id) => String(id).length));
  const tokens = ids!.map((id, i) => {
    const place = String(i).padStart(String(ids!.length).length);
    return `  ${place} ${mask![i] ? "learnt" : "      "} ${String(id).padStart(width)} ${JSON.stringify(tokenizer.idToToken(id) ?? "?")}`;
  });
  return [...texts, ...tokens];
}
