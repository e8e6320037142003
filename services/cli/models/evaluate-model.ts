import type { MessageInitShape } from "@bufbuild/protobuf";
import { defined } from "../../shared/base/defined.js";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { fromScoreRecord } from "../../shared/codec/score-record.js";
import { wholeDistribution } from "../../shared/codec/signal-spec.js";
import { toRecord } from "../../shared/flow/arrays.js";
import type { Row } from "../../shared/flow/prompts/dataset.js";
import { split } from "../../shared/flow/prompts/plan.js";
import type { SequenceScore } from "../../shared/gen/retort/v1/flow_pb.js";
import type { RewardSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { PromptInputSchema } from "../../shared/gen/retort/v1/student_pb.js";
import { type TokenDivergences, tokenDivergences } from "../../shared/ml/evaluation/divergence.js";
import { type Figures, figuresOf, type JudgedSample } from "../../shared/ml/evaluation/figures.js";
import { type Interval, intervalOf, meansByGroup } from "../../shared/ml/evaluation/interval.js";
import type { Score } from "../../shared/ml/signals/score.js";
import type { EncodedPrompt } from "../../shared/ml/text/encoder.js";
import type { BleuUnit } from "../../shared/ml/text/metrics/bleu-tokens.js";
import { type TextMetric, textMetrics } from "../../shared/ml/text/metrics/table.js";
import { type ModelServer, pieceOf, promptInput, type RewardServer } from "./model-server.js";

/** A completion of one row, token by token. */
export interface Sample {
  /** Position of its row. */
  readonly row: number;
  readonly prompt: string;
  readonly reference: string;
  readonly text: string;
  readonly ids: Int32Array;
  /** KL(teacher ‖ model) at each token, nats; absent without a teacher. */
  readonly divergence?: Float32Array;
  /** What the metric and the rewards say of it; absent without a reference, or without rewards. */
  readonly quality?: number;
  readonly reward?: number;
  readonly rewardComponents?: Readonly<Record<string, number>>;
}

/** 95 % intervals of what is a mean over prompts. */
export interface Intervals {
  readonly quality?: Interval;
  readonly reward?: Interval;
}

/** The figures of the samples at one temperature. */
export interface SampledFigures extends Figures {
  readonly temperature: number;
  readonly intervals: Intervals;
}

/** What an evaluation says about a model. Divergences are exact, per token of the model's own samples, in nats. */
export interface Evaluation extends Omit<Figures, "quality" | "length"> {
  readonly metric: TextMetric | undefined;
  readonly rows: number;
  /** Mean metric of the greedy completions, and of the samples at the first temperature; absent without references. */
  readonly greedy?: number;
  readonly sampled?: number;
  readonly greedyReward?: number;
  readonly greedyRewardComponents: Readonly<Record<string, number>>;
  readonly greedyIntervals: Intervals;
  /** Every temperature's figures; those of the first are this record's own too. */
  readonly temperatures: readonly SampledFigures[];
  readonly greedySamples: readonly Sample[];
  /** At the first temperature. */
  readonly samples: readonly Sample[];
}

/** How a model is measured. */
export interface EvaluateOptions {
  /** Each row's prompt as the model reads it; a teacher is given the same tokens. */
  readonly prompts: readonly EncodedPrompt[];
  readonly metric: TextMetric | undefined;
  readonly maxNewTokens: number;
  readonly seed: number;
  readonly temperatures: readonly number[];
  readonly samplesPerPrompt: number;
  readonly passAt: readonly number[];
  readonly selfBleuUnit: BleuUnit;
  readonly rewards: readonly RewardSpec[];
  readonly progress: (done: number, total: number) => void;
  /** Hears of the judged samples at each temperature; 0 is greedy. */
  readonly onSamples?: (temperature: number, samples: readonly Sample[]) => void;
}

/** What judges the completions besides references. */
export interface Judges {
  readonly teacher?: ModelServer;
  readonly rewards?: RewardServer;
}

/** Rows of one call, and bytes that one call's distributions may take. */
const batchRows = 64;
const scoreBytes = 256 * 1024 * 1024;

interface Written extends Sample {
  readonly input: MessageInitShape<typeof PromptInputSchema>;
}

/** Measures a model on rows: greedy, on samples at each temperature, and against a teacher and rewards. */
export async function evaluateModel(
  model: ModelServer,
  judges: Judges,
  rows: readonly Row[],
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { temperatures, metric, progress } = options;
  const total = rows.length * (temperatures.length + 1);
  let done = 0;
  const measure = async (temperature: number, count: number, passAt: readonly number[], teacher?: ModelServer) => {
    const samples: Written[] = [];
    for (const batch of split([...rows.entries()], batchRows)) {
      samples.push(...(await write(model, batch, temperature, count, options)));
      done += batch.length;
      progress(done, total);
    }
    const judged = await judge(model, { ...judges, teacher }, samples, { ...options, passAt });
    options.onSamples?.(temperature, judged.samples);
    return judged;
  };
  const greedy = await measure(0, 1, []);
  const sampled = [];
  for (const temperature of temperatures)
    sampled.push({ temperature, ...(await measure(temperature, options.samplesPerPrompt, options.passAt, judges.teacher)) });
  const { figures, samples } = found(sampled[0], "the first of the temperatures");
  const { quality, length, ...first } = figures;
  return {
    metric,
    rows: rows.length,
    ...defined({ greedy: greedy.figures.quality, sampled: quality, greedyReward: greedy.figures.reward }),
    greedyRewardComponents: greedy.figures.rewardComponents,
    greedyIntervals: intervalsOf(greedy.samples),
    ...first,
    temperatures: sampled.map(({ temperature, figures, samples: drawn }) => ({ temperature, ...figures, intervals: intervalsOf(drawn) })),
    greedySamples: greedy.samples,
    samples,
  };
}

async function write(
  { client }: ModelServer,
  rows: readonly (readonly [number, Row])[],
  temperature: number,
  count: number,
  { maxNewTokens, prompts, seed }: EvaluateOptions,
): Promise<Written[]> {
  const written = rows.flatMap(([row, { reference }]) =>
    Array.from({ length: count }, () => ({ row, prompt: prompts[row]!.text, reference: reference ?? "", text: "", ids: [] as number[] })),
  );
  const inputs = rows.map(([row]) => promptInput(prompts[row]!));
  // Each row draws from a stream of its own, however the rows are cut into calls.
  const request = {
    prompts: inputs,
    sampling: { temperature, maxNewTokens },
    seed: BigInt(seed) + BigInt(rows[0]![0]),
    samplesPerPrompt: count,
  };
  for await (const answer of client.sample({ request })) {
    const piece = pieceOf(answer);
    const sample = written[piece.prompt * count + piece.sample]!;
    sample.text += piece.text;
    sample.ids.push(...piece.tokenIds);
  }
  return written.map(({ ids, ...sample }, i) => ({
    ...sample,
    ids: Int32Array.from(ids),
    input: inputs[Math.floor(i / count)]!,
  }));
}

/** Figures over samples, and the samples with what the teacher says of each token. */
async function judge(
  model: ModelServer,
  { teacher, rewards }: Judges,
  samples: readonly Written[],
  options: EvaluateOptions,
): Promise<{ figures: Figures; samples: Sample[] }> {
  const divergences = teacher ? await compare(model, teacher, samples) : [];
  const values = rewards ? await reward(rewards, samples, options.rewards) : [];
  const judged = samples.map(
    ({ row, text, reference, ids }, i): JudgedSample => ({
      prompt: row,
      text,
      reference,
      tokens: ids.length,
      ...values[i],
      ...defined({ divergences: divergences[i] }),
    }),
  );
  return {
    figures: figuresOf(judged, options),
    samples: samples.map(({ input, ...sample }, i) => ({
      ...sample,
      ...values[i],
      ...defined({ divergence: divergences[i]?.forwardKl, quality: qualityOf(sample, options.metric) }),
    })),
  };
}

const qualityOf = ({ text, reference }: Pick<Sample, "text" | "reference">, metric: TextMetric | undefined): number | undefined =>
  metric && reference !== "" ? textMetrics[metric](text, reference) : undefined;

/** Over the prompts, each with the mean of its samples. */
function intervalsOf(samples: readonly Sample[]): Intervals {
  const over = (name: "quality" | "reward") =>
    intervalOf(meansByGroup(samples.flatMap(({ row, [name]: value }) => (value === undefined ? [] : [[row, value] as const]))));
  return defined({ quality: over("quality"), reward: over("reward") });
}

/** Scores samples under both models, as many at a time as the distributions' size allows. */
async function compare(model: ModelServer, teacher: ModelServer, samples: readonly Written[]): Promise<TokenDivergences[]> {
  const [own, theirs] = await rowsOf(model, teacher);
  const longest = Math.max(1, ...samples.map(({ ids }) => ids.length));
  const perCall = Math.max(1, Math.floor(scoreBytes / (longest * Math.max(own, theirs) * 4)));
  const divergences: TokenDivergences[] = [];
  for (const part of split(samples, perCall)) {
    const sequences = part.map(({ input, ids }) => ({ prompt: input, completion: { case: "ids" as const, value: toRecord(ids) } }));
    const [mine, other] = await Promise.all([model, teacher].map(({ client }) => client.score({ sequences, signal: wholeDistribution })));
    divergences.push(
      ...part.map(({ ids }, i) => tokenDivergences(scoreOf(mine!.scores[i]!, ids.length), scoreOf(other!.scores[i]!, ids.length))),
    );
  }
  return divergences;
}

/** Rows of the vocabulary of two models. */
async function rowsOf(model: ModelServer, teacher: ModelServer): Promise<[number, number]> {
  const [own, theirs] = await Promise.all([model.client.describe({}), teacher.client.describe({})]);
  return [own.vocabSize, theirs.vocabSize];
}

/** What to know before a model is compared with a teacher whose vocabulary has another number of rows; undefined if it has not. */
export async function rowsNote(model: ModelServer, teacher: ModelServer): Promise<string | undefined> {
  const [own, theirs] = await rowsOf(model, teacher);
  if (own === theirs) return undefined;
  const rows = Math.min(own, theirs);
  return `the model has ${own} rows of vocabulary, the teacher ${theirs}: divergences are over the first ${rows}, which both have, renormalised`;
}

const scoreOf = (record: SequenceScore, tokens: number): Score =>
  fromScoreRecord(record, { signal: wholeDistribution, tokens, headDigest: "" });

type Rewarded = Required<Pick<JudgedSample, "reward" | "rewardComponents">>;

async function reward({ client }: RewardServer, samples: readonly Written[], rewards: readonly RewardSpec[]): Promise<Rewarded[]> {
  const values: Rewarded[] = [];
  for (const part of split(samples, batchRows)) {
    const inputs = part.map(({ prompt, text, reference, ids }) => ({ prompt, completion: text, reference, completionTokens: ids.length }));
    const { rewards: answers } = await client.evaluate({ inputs, rewards: [...rewards] });
    for (const { value, components, failure } of answers) {
      if (failure) throw new RetortError("DataLoss", `a reward failed: ${failure}`);
      values.push({ reward: value, rewardComponents: components });
    }
  }
  return values;
}
