import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Command, InvalidArgumentError, Option } from "commander";
import { RetortError } from "../../shared/base/errors.js";
import { checkMessage } from "../../shared/base/rpc/check-message.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import { parseYaml } from "../../shared/base/yaml.js";
import { promptOfRow } from "../../shared/codec/prompt-of-row.js";
import { defaultColumns, readDataset } from "../../shared/flow/prompts/dataset.js";
import { passAtProblems } from "../../shared/flow/runs/evaluation.js";
import { rewardProblems } from "../../shared/flow/runs/rewards.js";
import { type RewardSpec, RewardSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { Interval } from "../../shared/ml/evaluation/interval.js";
import type { BleuUnit } from "../../shared/ml/text/metrics/bleu-tokens.js";
import { type TextMetric, textMetrics } from "../../shared/ml/text/metrics/table.js";
import { addCommand, decimal, print, wholeNumber } from "../command.js";
import { startBar } from "../terminal/bar.js";
import { textTable } from "../terminal/text-table.js";
import { addChatOptions, type ChatOptions, chatSettings } from "./chat-options.js";
import { deviceOption, dtypeOption } from "./device-option.js";
import { type Evaluation, evaluateModel, type Judges, rowsNote, type Sample } from "./evaluate-model.js";
import { roomFor, serveModel, serveRewards } from "./model-server.js";
import { wordsOf } from "./model-words.js";

interface EvalOptions extends ChatOptions {
  readonly model: string;
  readonly data: string;
  readonly teacher?: string;
  readonly metric?: TextMetric;
  readonly limit: number;
  readonly max?: number;
  readonly seed: number;
  readonly temperature: readonly number[];
  readonly samples: number;
  readonly samplesOut?: string;
  readonly passAt: readonly number[];
  readonly selfBleuUnit: BleuUnit;
  readonly reward: readonly RewardSpec[];
  readonly device: string;
  readonly dtype?: string;
  readonly prompt: string;
  readonly completion: string;
  readonly reference: string;
  readonly messages: string;
}

/** Adds `retort eval`. */
export function addEvalCommand(program: Command): void {
  const command = addCommand(
    program,
    "Models and data:",
    "eval",
    "measure a model on held-out rows: greedy, on samples, against a teacher and by rewards",
    [
      ["eval --model DIR --data held-out.jsonl", "exact match"],
      ["eval --model DIR --teacher DIR --data held-out.jsonl --metric rouge_l", "and both KLs, exact, on the model's own samples"],
      ["eval --model DIR --data gsm8k --prompt question --reference answer --metric numeric --samples 8 --pass-at 1,8", "pass@8"],
    ],
  );
  addChatOptions(command)
    .requiredOption("--model <dir>", "Hugging Face model directory")
    .requiredOption("--data <file>", "JSONL or Parquet, or a directory of them")
    .option("--teacher <dir>", "model directory to compare with, token by token")
    .addOption(
      new Option("--metric <name>", "how completions are judged (default: exact_match where there are references)").choices(
        Object.keys(textMetrics),
      ),
    )
    .option("--temperature <list>", "sampling temperatures, separated by commas", listOf(decimal(Number.MIN_VALUE, 100)), [1])
    .option("--samples <n>", "samples per prompt at each temperature", wholeNumber(1), 1)
    .option("--samples-out <file>", "write every completion, with what was measured of it, as a line of JSON")
    .option("--pass-at <list>", "the k's of pass@k, separated by commas", listOf(wholeNumber(1)), [])
    .option("--reward <spec>", "a reward by kind, or as in a run's spec: '{kind: regex, pattern: …}'; may be repeated", addReward, [])
    .addOption(new Option("--self-bleu-unit <unit>", "what Self-BLEU counts").choices(["word", "character"]).default("word"))
    .option("--limit <n>", "rows; 0 takes all", wholeNumber(0), 0)
    .option("--max <n>", "most new tokens (default: 128, or what the model's context leaves)", wholeNumber(1))
    .option("--seed <n>", "seed of the samples", wholeNumber(0), 0)
    .addOption(deviceOption())
    .addOption(dtypeOption("what both models' weights are held in (default: as each checkpoint has them)"))
    .option("--prompt <column>", "column of the prompts", "prompt")
    .option("--completion <column>", "column of the completions", "completion")
    .option("--reference <column>", "column of the references", "reference")
    .option("--messages <column>", "column of the conversations", "messages")
    .action((options: EvalOptions) => evaluate(program, options));
}

const listOf =
  (read: (text: string) => number) =>
  (list: string): number[] =>
    list.split(",").map((item) => read(item));

const addReward = (text: string, before: readonly RewardSpec[]): RewardSpec[] => [...before, rewardOf(text)];

function rewardOf(text: string): RewardSpec {
  try {
    const parsed = parseYaml(text, "the reward");
    const spec = fromJson(RewardSpecSchema, (typeof parsed === "string" ? { kind: parsed } : parsed) as JsonValue);
    checkMessage(RewardSpecSchema, spec);
    if (spec.kind === "environment")
      throw new RetortError("InvalidArgument", "completions are one turn here, and no environment pays for it");
    return spec;
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}; give a kind (length), or a spec ({kind: regex, pattern: "^a"}).`);
  }
}

async function evaluate(program: Command, options: EvalOptions): Promise<void> {
  const { metric, samples, passAt, reward } = options;
  const problems = [...passAtProblems(passAt, samples, metric ?? ""), ...rewardProblems(reward)];
  if (problems.length) throw RetortError.ofProblems("retort eval", problems);
  const { prompt, completion, reference, messages } = options;
  const rows = await readDataset(options.data, { ...defaultColumns, prompt, completion, reference, messages }, options.limit);
  const referenced = rows.some((row) => row.reference);
  if ((metric || passAt.length) && !referenced)
    throw new RetortError(
      "InvalidArgument",
      `${metric ? `--metric ${metric}` : "--pass-at"} compares with references, and ${options.data} has no column "${reference}" (nor "${completion}"); name it with --reference, or leave the option out`,
    );
  const stops: (() => Promise<void>)[] = [];
  const written: string[] = [];
  const started = async <T extends { stop(): Promise<void> }>(server: Promise<T>): Promise<T> => {
    const running = await server;
    stops.push(() => running.stop());
    return running;
  };
  try {
    const model = await started(serveModel(options.model, options.device, options.dtype));
    const teacher: Pick<Judges, "teacher"> = options.teacher
      ? { teacher: await started(serveModel(options.teacher, options.device, options.dtype)) }
      : {};
    const judge = reward.length ? { rewards: await started(serveRewards(options.device)) } : {};
    const { encoder } = await wordsOf(options.model, chatSettings(options));
    const prompts = encoder.prompts(rows.map(promptOfRow), (i) => rows[i]!.where);
    const maxNewTokens = options.max ?? (await roomFor(model, prompts));
    const bar = startBar("evaluating", rows.length * (1 + options.temperature.length));
    stops.push(async () => bar.stop());
    const evaluation = await evaluateModel(model, { ...teacher, ...judge }, rows, {
      prompts,
      metric: metric ?? (referenced ? "exact_match" : undefined),
      maxNewTokens,
      seed: options.seed,
      temperatures: options.temperature,
      samplesPerPrompt: samples,
      passAt,
      selfBleuUnit: options.selfBleuUnit,
      rewards: reward,
      progress: (done) => bar.update(done),
      onSamples: (temperature, drawn) => {
        if (options.samplesOut) written.push(...drawn.map((sample) => sampleLine(temperature, sample)));
      },
    });
    bar.stop();
    if (options.samplesOut) await writeAtomically(options.samplesOut, Buffer.from(written.join("")));
    const { samples: drawn, greedySamples, ...figures } = evaluation;
    const note = teacher.teacher && (await rowsNote(model, teacher.teacher));
    if (note) process.stderr.write(`${note}\n`);
    print(program, figures, textTable(["figure", "value"], linesOf(evaluation), process.stdout));
  } finally {
    for (const stop of stops) await stop();
  }
}

/** A completion as a line of JSON: of tokens there are as many as divergences. */
const sampleLine = (temperature: number, { row, text, ids, divergence, ...rest }: Sample): string =>
  `${JSON.stringify({ row, temperature, completion: text, tokens: ids.length, ...rest, ...(divergence ? { forwardKl: [...divergence] } : {}) })}\n`;

const digits = (x: number): string => (Number.isInteger(x) ? String(x) : x.toFixed(4));

/** A mean, with its 95 % interval and how that was reckoned. */
const mean = (x: number, interval: Interval | undefined): string =>
  interval ? `${digits(x)}  95 %: ${digits(interval.low)} to ${digits(interval.high)} (${interval.method})` : digits(x);

/** An evaluation as the lines of a table. */
function linesOf(evaluation: Evaluation): [string, string][] {
  const { metric, rows, greedy, greedyReward, greedyRewardComponents, greedyIntervals, temperatures } = evaluation;
  const lines: [string, string][] = [
    ["metric", metric ?? "none"],
    ["rows", String(rows)],
  ];
  if (greedy !== undefined) lines.push(["greedy", mean(greedy, greedyIntervals.quality)]);
  if (greedyReward !== undefined) lines.push(["greedy reward", mean(greedyReward, greedyIntervals.reward)]);
  lines.push(...components("greedy reward", greedyRewardComponents));
  for (const { temperature, passAt, rewardComponents, intervals, ...rest } of temperatures) {
    const at = temperatures.length > 1 ? ` at ${temperature}` : "";
    for (const [name, value] of Object.entries(rest)) {
      const interval = name === "quality" || name === "reward" ? intervals[name] : undefined;
      lines.push([`${labels[name] ?? name}${at}`, mean(value, interval)]);
    }
    lines.push(...components(`reward${at}`, rewardComponents));
    for (const { k, value } of passAt) lines.push([`pass@${k}${at}`, digits(value)]);
  }
  return lines;
}

/** The terms of a reward, where it has several. */
function components(name: string, terms: Readonly<Record<string, number>>): [string, string][] {
  const all = Object.entries(terms);
  return all.length > 1 ? all.map(([kind, value]) => [`${name}: ${kind}`, digits(value)]) : [];
}

/** What the figures of samples are called. */
const labels: Readonly<Record<string, string>> = {
  quality: "sampled",
  forwardKl: "KL(teacher‖model)",
  reverseKl: "KL(model‖teacher)",
  teacherNll: "teacher NLL",
  selfBleu: "Self-BLEU",
};
