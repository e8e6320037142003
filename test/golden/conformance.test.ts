import { readdirSync, readFileSync } from "node:fs";
import { gradients } from "../../services/shared/ml/autodiff/gradients.js";
import { Graph, type Value } from "../../services/shared/ml/graph/graph.js";
import * as op from "../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import { declareRows } from "../../services/shared/ml/losses/row-losses.js";
import { decoderInputs } from "../../services/shared/ml/models/architectures/sequence-inputs.js";
import { headDigest } from "../../services/shared/ml/models/model.js";
import { microBatch } from "../../services/shared/ml/training/batch.js";
import { wholeHead } from "../../services/shared/ml/training/head.js";
import { evaluate } from "../support/graph/evaluate.js";
import { expectAllClose, type Tolerance } from "../support/jest/all-close.js";
import {
  type ConformanceCase,
  type ConformanceInput,
  countedOf,
  headOf,
  objectiveOf,
  trainSequences,
} from "../support/loss/conformance.js";

const directory = "test/golden/conformance";
const read = (file: string) => JSON.parse(readFileSync(`${directory}/${file}`, "utf8"));
const inputs = read("inputs.json") as Record<string, ConformanceInput>;
const files = readdirSync(`${directory}/cases`).map((file) => {
  const { cases } = read(`cases/${file}`) as { cases: ConformanceCase[] };
  return { file, cases };
});

/** Value, and gradient in all of the student's logits [B, T, V], through the layout and the loss that training uses: by slices, or all rows at once. */
async function run(value: ConformanceCase, input: ConformanceInput, sliceRows = 0): Promise<{ loss: number; gradient: Float32Array }> {
  const objective = objectiveOf(value);
  const batch = trainSequences(value, input);
  const { feeds } = microBatch(
    batch,
    batch.map((_, i) => i),
    {
      inputs: decoderInputs,
      padId: 0,
      vocab: input.vocab,
      objective,
      blockRows: 0,
      sliceRows,
      heads: new Map([[headDigest(headOf(input)), headOf(input)]]),
    },
  );
  const graph = new Graph("conformance");
  const logits = graph.input("logits", "float32", ["P", input.vocab]);
  const places = graph.input("rows", "int64", ["R"]);
  const rows = declareRows(graph, objective, "R", input.vocab);
  const own = op.gather(logits, places, 0);
  // The head is left out: what would be its product is the logits themselves.
  const form = { objective, logits: (x: Value) => op.neg(op.neg(x)), trained: "body" as const, sliceRows };
  const { loss, hiddenGradient_RD } = wholeHead(form, own, graph.scalar(0), rows);
  const [gradient] = gradients([{ value: own, seed: hiddenGradient_RD! }], [logits]);
  // Where only a prefix counts, the batch is shorter than the input: what it leaves out has no gradient.
  const time = feeds.ids!.dims[1]!;
  const flat = input.student_logits.flatMap((positions) => positions.slice(0, time)).flat();
  const student = float32(flat, [flat.length / input.vocab, input.vocab]);
  const fed = Object.fromEntries(graph.inputs.map(({ name }) => [name, name === "logits" ? student : feeds[name]!]));
  const outputs = await evaluate(graph, { loss, gradient: gradient! }, fed);
  return { loss: (outputs.loss!.data as Float32Array)[0]!, gradient: spread(outputs.gradient!.data as Float32Array, time, input) };
}

/** A gradient [B, T, V] as one in all of the input's positions. */
function spread(gradient: Float32Array, time: number, { student_logits, vocab }: ConformanceInput): Float32Array {
  const positions = student_logits[0]!.length;
  const out = new Float32Array(student_logits.length * positions * vocab);
  student_logits.forEach((_, b) => {
    out.set(gradient.subarray(b * time * vocab, (b + 1) * time * vocab), b * positions * vocab);
  });
  return out;
}

/** The expected gradient at every position: rows of the case where one counts, 0 elsewhere. */
function everywhere(value: ConformanceCase, input: ConformanceInput): number[] {
  let row = 0;
  const counted = countedOf(value, input).flat();
  return counted.flatMap((counts) => (counts ? value.gradient[row++]! : new Array<number>(input.vocab).fill(0)));
}

/** A short name: the settings that are unlike the first case's. */
function nameOf(value: ConformanceCase, first: ConformanceCase): string {
  const changed = Object.entries(value.objective).filter(([key, x]) => x !== first.objective[key as keyof typeof first.objective]);
  return [value.input, ...changed.map(([key, x]) => `${key}=${x}`)].join(" ");
}

const largest = { value: 0, gradient: 0 };
/** Keeps the largest error, in units of the expected number where that is above 1. */
const note = (of: keyof typeof largest, actual: ArrayLike<number>, expected: ArrayLike<number>) => {
  for (let i = 0; i < expected.length; i++) {
    largest[of] = Math.max(largest[of], Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!)));
  }
};

describe.each(files)("conformance: $file", ({ cases }) => {
  it.each(cases.map((value, i) => [`${i}: ${nameOf(value, cases[0]!)}`, value] as const))("%s", async (_, value) => {
    const input = inputs[value.input]!;
    const expected = everywhere(value, input);
    const tolerance: Tolerance = value.tolerance;
    for (const sliceRows of [0, 2]) {
      const { loss, gradient } = await run(value, input, sliceRows);
      expectAllClose([loss], [value.value], tolerance, "value");
      expectAllClose(gradient, expected, tolerance, "gradient");
      note("value", [loss], [value.value]);
      note("gradient", gradient, expected);
    }
  });
});

afterAll(() => {
  const count = files.reduce((sum, { cases }) => sum + cases.length, 0);
  console.info(
    `${count} cases; largest error in value ${largest.value.toExponential(1)}, in gradient ${largest.gradient.toExponential(1)}`,
  );
});
