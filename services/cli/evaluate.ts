// Dimensions: N completion tokens, V vocabulary.
import { toFloat32, toInt32, toRecord } from "../shared/flow/arrays.js";
import type { Row } from "../shared/flow/prompts/dataset.js";
import { split } from "../shared/flow/prompts/plan.js";
import type { SequenceScore } from "../shared/gen/retort/v1/flow_pb.js";
import { selfBleu } from "../shared/ml/text/metrics/bleu.js";
import { type TextMetric, textMetrics } from "../shared/ml/text/metrics/table.js";
import { type ModelServer, promptOf } from "./model-server.js";

/** A completion of one row, token by token. */
export interface Sample {
  readonly prompt: string;
  readonly reference: string;
  readonly text: string;
  readonly ids: Int32Array;
  /** KL(teacher ‖ model) at each token, nats; absent without a teacher. */
  readonly divergence?: Float32Array;
}

/** What an evaluation says about a model. Divergences are exact, per token of the model's own samples, in nats. */
export interface Evaluation {
  readonly metric: string;
  readonly rows: number;
  readonly greedy: number;
  readonly sampled: number;
  /** Self-BLEU over words of the samples: how much they resemble each other; absent for a single row. */
  readonly selfBleu?: number;
  /** KL(teacher ‖ model) and KL(model ‖ teacher). */
  readonly forwardKl?: number;
  readonly reverseKl?: number;
  /** Mean negative log-likelihood that the teacher gives the model's samples. */
  readonly teacherNll?: number;
  readonly greedySamples: readonly Sample[];
  readonly samples: readonly Sample[];
}

export interface EvaluateOptions {
  readonly metric: TextMetric;
  readonly maxNewTokens: number;
  readonly seed: number;
  readonly progress: (done: number, total: number) => void;
}

/** Rows of one call. */
const batchRows = 64;

/** Measures a model on rows: greedy, at temperature 1, and against a teacher. */
export async function evaluateModel(
  model: ModelServer,
  teacher: ModelServer | undefined,
  rows: readonly Row[],
  options: EvaluateOptions,
): Promise<Evaluation> {
  const measure = textMetrics[options.metric];
  const greedySamples: Sample[] = [];
  const samples: Sample[] = [];
  const totals = { forward: 0, reverse: 0, nll: 0, tokens: 0 };
  for (const batch of split(rows, batchRows)) {
    greedySamples.push(...(await write(model, batch, 0, options)));
    const drawn = await write(model, batch, 1, options);
    samples.push(...(teacher ? await compare(model, teacher, drawn, totals) : drawn));
    options.progress(samples.length, rows.length);
  }
  const quality = (list: readonly Sample[]) => list.reduce((sum, { text, reference }) => sum + measure(text, reference), 0) / list.length;
  const { forward, reverse, nll, tokens } = totals;
  const divergences = teacher ? { forwardKl: forward / tokens, reverseKl: reverse / tokens, teacherNll: nll / tokens } : {};
  return {
    metric: options.metric,
    rows: rows.length,
    greedy: quality(greedySamples),
    sampled: quality(samples),
    ...(samples.length < 2 ? {} : { selfBleu: selfBleu(samples.map(({ text }) => text)) }),
    ...divergences,
    greedySamples,
    samples,
  };
}

async function write(
  { client }: ModelServer,
  rows: readonly Row[],
  temperature: number,
  { maxNewTokens, seed }: EvaluateOptions,
): Promise<Sample[]> {
  const texts = rows.map(() => "");
  const ids = rows.map(() => [] as number[]);
  const prompts = rows.map(({ prompt }) => promptOf(prompt));
  const request = { prompts, sampling: { temperature, maxNewTokens }, seed: BigInt(seed) };
  for await (const { piece } of client.sample({ request })) {
    texts[piece!.prompt] += piece!.text;
    if (piece!.ids) ids[piece!.prompt]!.push(...toInt32(piece!.ids, "ids"));
  }
  return rows.map(({ prompt, reference }, i) => ({
    prompt: typeof prompt === "string" ? prompt : (prompt.at(-1)?.content ?? ""),
    reference: reference ?? "",
    text: texts[i]!,
    ids: Int32Array.from(ids[i]!),
  }));
}

type Totals = Record<"forward" | "reverse" | "nll" | "tokens", number>;

/** Scores samples under both models and adds their divergences up. */
async function compare(model: ModelServer, teacher: ModelServer, samples: readonly Sample[], totals: Totals): Promise<Sample[]> {
  const sequences = samples.map(({ prompt, ids }) => ({
    prompt: { input: { case: "text" as const, value: prompt } },
    completion: { case: "ids" as const, value: toRecord(ids) },
  }));
  const signal = { kind: "full", k: 0, temperature: 1 };
  const [own, other] = await Promise.all([model, teacher].map(({ client }) => client.score({ sequences, signal })));
  return samples.map((sample, i) => ({ ...sample, divergence: divergenceOf(own!.scores[i]!, other!.scores[i]!, totals) }));
}

function divergenceOf(student: SequenceScore, teacher: SequenceScore, totals: Totals): Float32Array {
  const [logq_NV, logp_NV, logp_N] = [
    toFloat32(student.full, "full"),
    toFloat32(teacher.full, "full"),
    toFloat32(teacher.logprobs, "logprobs"),
  ];
  const vocab = logp_NV.length / logp_N.length;
  return logp_N.map((logp, n) => {
    let [forward, reverse] = [0, 0];
    for (let v = n * vocab; v < (n + 1) * vocab; v++) {
      const difference = logp_NV[v]! - logq_NV[v]!;
      forward += Math.exp(logp_NV[v]!) * difference;
      reverse -= Math.exp(logq_NV[v]!) * difference;
    }
    totals.forward += forward;
    totals.reverse += reverse;
    totals.nll -= logp;
    totals.tokens++;
    return forward;
  });
}
