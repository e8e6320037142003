import type { MessageInitShape } from "@bufbuild/protobuf";
import type { WorkerClient } from "../shared/base/workers.js";
import { toFloat32, toInt32 } from "../shared/flow/arrays.js";
import type { Sequence, SequenceScore } from "../shared/gen/retort/v1/flow_pb.js";
import type { EvaluationFinishedSchema, ExampleSchema } from "../shared/gen/retort/v1/run_pb.js";
import { type TextMetric, textMetrics } from "../shared/ml/text/metrics/table.js";
import type { TaskResults } from "./results.js";
import type { TrainHost } from "./train-host.js";

type Figures = MessageInitShape<typeof EvaluationFinishedSchema>;

/** A sequence of an evaluation with its score, if a teacher scored it. */
interface Judged {
  readonly sequence: Sequence;
  readonly score: SequenceScore | undefined;
}

const flatten = (results: readonly TaskResults[]): Judged[] =>
  results.flatMap(({ rollout, score }) =>
    rollout!.sequences.flatMap((sequence, i) =>
      sequence.failure || score?.scores[i]?.failure ? [] : [{ sequence, score: score?.scores[i] }],
    ),
  );

const mean = (list: readonly number[]): number | undefined => (list.length ? list.reduce((a, b) => a + b, 0) / list.length : undefined);

/** How many examples an evaluation carries. */
const exampleCount = 6;

/**
 * The figures of an evaluation from its greedy and its sampled completions. Divergences are means over tokens of the
 * student's own samples: forward and reverse KL estimated from the log-probabilities of the sampled tokens only where
 * the signal is not `full`.
 */
export async function evaluationFigures(
  host: WorkerClient<TrainHost>,
  greedy: readonly TaskResults[],
  sampled: readonly TaskResults[],
  metric: string,
  version: number,
  seconds: number,
): Promise<Figures> {
  const measure = textMetrics[metric as TextMetric];
  const quality = (judged: readonly Judged[]) =>
    mean(judged.flatMap(({ sequence }) => (sequence.reference === "" ? [] : [measure(sequence.completionText, sequence.reference)])));
  const [best, drawn] = [flatten(greedy), flatten(sampled)];
  const scored = drawn.filter(({ score }) => score);
  const tokens = scored.map(divergenceOf);
  const all = (pick: (divergence: TokenDivergence) => Float32Array) => mean(tokens.flatMap((token) => Array.from(pick(token))));
  return {
    version,
    prompts: best.length,
    metric,
    greedy: quality(best),
    sampled: quality(drawn),
    reverseKl: all(({ logRatio }) => logRatio),
    teacherNll: all(({ teacherNll }) => teacherNll),
    seconds,
    examples: await Promise.all((scored.length ? scored : best).slice(0, exampleCount).map((judged) => exampleOf(host, judged))),
  };
}

/** Per token of a sample: log q − log p, whose mean is an unbiased estimate of KL(student ‖ teacher), and −log p. */
interface TokenDivergence {
  readonly logRatio: Float32Array;
  readonly teacherNll: Float32Array;
}

function divergenceOf({ sequence, score }: Judged): TokenDivergence {
  const [student, teacher] = [toFloat32(sequence.samplerLogprobs, "samplerLogprobs"), toFloat32(score!.logprobs, "logprobs")];
  return { logRatio: student.map((logq, n) => logq - teacher[n]!), teacherNll: teacher.map((logp) => -logp) };
}

async function exampleOf(host: WorkerClient<TrainHost>, judged: Judged): Promise<MessageInitShape<typeof ExampleSchema>> {
  const { promptText, completionText, reference, completionIds } = judged.sequence;
  const tokens = await host.pieces(toInt32(completionIds, "completionIds"));
  const divergence = judged.score ? Array.from(divergenceOf(judged).logRatio) : [];
  return { prompt: promptText, completion: completionText, reference, tokens, divergence };
}
