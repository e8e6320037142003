import { readFileSync } from "node:fs";
import { gradientsOf } from "../../services/shared/ml/autodiff/gradients.js";
import { Graph } from "../../services/shared/ml/graph/graph.js";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../services/shared/ml/losses/objective.js";
import { declareRows, rankReports, rowLosses } from "../../services/shared/ml/losses/row-losses.js";
import { decoderInputs } from "../../services/shared/ml/models/architectures/sequence-inputs.js";
import { spanRanks } from "../../services/shared/ml/text/span-ranks.js";
import { commonSpans } from "../../services/shared/ml/text/spans.js";
import { type BatchLayout, microBatch, type TrainSequence } from "../../services/shared/ml/training/batch.js";
import { knownTokens } from "../../services/shared/ml/training/known-tokens.js";
import { hasMergedSpans, stepMasses } from "../../services/shared/ml/training/step-masses.js";
import { evaluate } from "../support/graph/evaluate.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { logSoftmaxRows } from "../support/loss/distributions.js";
import { plainObjective } from "../support/loss/loss.js";

interface GoldenText {
  /** Bytes of each token. */
  readonly lengths: number[];
  readonly teacherLengths: number[];
  readonly ids: number[];
  readonly teacherIds: number[];
  /** Logits. */
  readonly student: number[];
  readonly teacher: number[];
  readonly gradient: number[];
  /** Of each span, and the last of the student's tokens in it. */
  readonly distances: number[];
  readonly ends: number[];
}

interface GoldenBatch extends Pick<Objective, "k" | "normalisation" | "studentTemperature" | "teacherTemperature"> {
  readonly vocab: readonly [student: number, teacher: number];
  readonly loss: number;
  readonly texts: readonly GoldenText[];
}

const { batches } = JSON.parse(readFileSync("test/golden/fixtures/uld.json", "utf8")) as { readonly batches: readonly GoldenBatch[] };

/** A text as the learner has it: what the teacher sent, at the student's tokens. */
function sequenceOf(one: GoldenText, { k, vocab, teacherTemperature }: GoldenBatch): TrainSequence {
  const logp = logSoftmaxRows(
    one.teacher.map((logit) => logit / teacherTemperature),
    vocab[1],
  );
  const rows = one.teacherIds.map((_, m) => logp.slice(m * vocab[1], (m + 1) * vocab[1]));
  const orders = rows.map((row) => [...row.keys()].sort((a, b) => row[b]! - row[a]!));
  const read = {
    byteLengths: Uint16Array.from(one.teacherLengths),
    logprobs: Float32Array.from(rows, (row, m) => row[one.teacherIds[m]!]!),
    ids: Int32Array.from(orders.flatMap((order) => order.slice(0, k))),
    topLogprobs: Float32Array.from(orders.flatMap((order, m) => order.slice(0, k).map((v) => rows[m]![v]!))),
    tail: Float32Array.from(orders, (order, m) => Math.log(order.slice(k).reduce((sum, v) => sum + Math.exp(rows[m]![v]!), 0))),
    endId: undefined,
  };
  const spans = commonSpans(one.lengths, one.teacherLengths);
  const count = spans.at(-1)!.to;
  const ranks = spanRanks(read, { byteLengths: Uint16Array.from(one.lengths) }, count, vocab[0]);
  const starts = Int32Array.from({ length: count }, (_, n) => spans.find(({ to }) => n < to)!.from);
  const { known, before, k: width, ...classes } = ranks;
  return {
    promptIds: Int32Array.of(0),
    completionIds: Int32Array.from(one.ids.slice(0, count)),
    spans: { starts, words: starts, alike: false, before },
    known,
    score: { signal: { kind: "top_k", k: width, temperature: teacherTemperature }, logprobs: new Float32Array(count), ...classes },
  };
}

describe("uld over spans of tokens, against PyTorch", () => {
  it.each(batches.map((golden, i) => [i, golden] as const))("batch %i: loss, each span's distance, and gradient", async (_, golden) => {
    const { vocab, texts, ...settings } = golden;
    const objective: Objective = { ...plainObjective, ...settings, divergence: "uld", signal: "top_k" };
    const batch = texts.map((one) => sequenceOf(one, golden));
    const members = [...batch.keys()];
    const known = knownTokens(batch, objective);
    const layout: BatchLayout = { inputs: decoderInputs, padId: 0, vocab: vocab[0], objective, blockRows: 0, counted: known };
    const counts = batch.map(({ completionIds }) => completionIds.length);
    const logits = texts.flatMap(({ student }, i) => student.slice(0, counts[i]! * vocab[0]));
    const fed = float32(logits, [logits.length / vocab[0], vocab[0]]);

    const before = new Graph("before");
    const plain = microBatch(batch, members, layout);
    const inputs = declareRows(before, objective, "R", vocab[0]);
    const reports = rankReports(objective, before.input("logits", "float32", ["R", vocab[0]]), inputs);
    const found = await evaluate(before, reports, feedsOf(before, { ...plain.feeds, logits: fed }));
    const cut = (name: string, width: number) => {
      const starts = counts.map((_, i) => counts.slice(0, i).reduce((sum, count) => sum + count, 0));
      return starts.map((at, i) => (found[name]!.data as Float32Array).slice(at * width, (at + counts[i]!) * width));
    };
    const [ranks, logprobs] = [cut("ranks", golden.k + 1), cut("rankedLogprobs", 1)];
    const students = members.map((i) => ({ ranks: ranks[i]!, logprobs: logprobs[i]! }));
    const masses = stepMasses(batch, objective, known, hasMergedSpans(batch) ? students : undefined);

    const graph = new Graph("loss");
    const part = microBatch(batch, members, { ...layout, masses });
    const student = graph.input("logits", "float32", ["R", vocab[0]]);
    const result = rowLosses(objective, student, declareRows(graph, objective, "R", vocab[0], { padded: true, masses: true }));
    const [gradient] = gradientsOf(result.loss, [student]);
    const outputs = { loss: result.loss, gradient: gradient!, distance: result.reports.distance! };
    const given = await evaluate(graph, outputs, feedsOf(graph, { ...part.feeds, logits: fed }));
    const data = (name: keyof typeof outputs) => given[name]!.data as Float32Array;

    expectAllClose(data("loss"), [golden.loss], { rtol: 1e-6 }, "loss");
    const distances = texts.flatMap((one, i) =>
      Array.from({ length: counts[i]! }, (_, n) => (one.ends.includes(n) ? one.distances[one.ends.indexOf(n)]! : 0)),
    );
    expectAllClose(data("distance"), distances, { rtol: 1e-6, atol: 1e-6 }, "distances");
    const slopes = texts.flatMap((one, i) => one.gradient.slice(0, counts[i]! * vocab[0]));
    expectAllClose(data("gradient"), slopes, { rtol: 1e-6, atol: 1e-6 }, "gradient");
    // What is behind the last border in common has no part in it.
    for (const [i, one] of texts.entries()) expect(one.gradient.slice(counts[i]! * vocab[0]).every((slope) => slope === 0)).toBe(true);
  });
});

const feedsOf = (graph: Graph, feeds: Parameters<typeof evaluate>[2]) =>
  Object.fromEntries(graph.inputs.map(({ name }) => [name, feeds[name]!]));
