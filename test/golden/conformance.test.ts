import { readdirSync, readFileSync } from "node:fs";
import { gradientsOf } from "../../services/shared/ml/autodiff/gradients.js";
import { Graph } from "../../services/shared/ml/graph/graph.js";
import * as op from "../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../services/shared/ml/losses/objective.js";
import { declareRows, rowLosses } from "../../services/shared/ml/losses/row-losses.js";
import { evaluate } from "../../services/shared/ml/runtime/session.js";
import { microBatch } from "../../services/shared/ml/training/batch.js";
import { expectAllClose, type Tolerance } from "../support/all-close.js";
import { type ConformanceCase, type ConformanceInput, trainSequences } from "../support/conformance.js";
import { plainObjective } from "../support/loss.js";

const directory = "test/golden/conformance";
const read = (file: string) => JSON.parse(readFileSync(`${directory}/${file}`, "utf8"));
const inputs = read("inputs.json") as Record<string, ConformanceInput>;
const files = readdirSync(`${directory}/cases`).map((file) => {
  const { cases } = read(`cases/${file}`) as { cases: ConformanceCase[] };
  return { file, cases };
});

function objectiveOf({ objective: o }: ConformanceCase): Objective {
  return {
    ...plainObjective,
    divergence: o.divergence,
    signal: o.signal,
    k: o.k,
    beta: o.beta,
    skew: o.skew,
    weight: o.weight,
    normalizeJsd: o.normalize_jsd,
    alpha: o.alpha,
    studentTemperature: o.student_temperature,
    teacherTemperature: o.teacher_temperature,
    klCoef: o.kl_coef,
    ratioClip: o.ratio_clip,
    normalisation: o.normalisation,
  };
}

/** Value, and gradient in all of the student's logits [B, T, V], through the layout and the loss that training uses. */
async function run(value: ConformanceCase, input: ConformanceInput): Promise<{ loss: number; gradient: Float32Array }> {
  const objective = objectiveOf(value);
  const batch = trainSequences(value, input);
  const { feeds } = microBatch(
    batch,
    batch.map((_, i) => i),
    objective,
    input.vocab,
    0,
    0,
  );
  const graph = new Graph("conformance");
  const logits = graph.input("logits", "float32", ["P", input.vocab]);
  const places = graph.input("rows", "int64", ["R"]);
  const rows = declareRows(graph, objective, "R", input.vocab);
  const { loss } = rowLosses(objective, op.gather(logits, places, 0), rows);
  const [gradient] = gradientsOf(loss, [logits]);
  const flat = input.student_logits.flat(2);
  const student = float32(flat, [flat.length / input.vocab, input.vocab]);
  const fed = Object.fromEntries(graph.inputs.map(({ name }) => [name, name === "logits" ? student : feeds[name]!]));
  const outputs = await evaluate(graph, { loss, gradient: gradient! }, fed);
  return { loss: (outputs.loss!.data as Float32Array)[0]!, gradient: outputs.gradient!.data as Float32Array };
}

/** The expected gradient at every position: rows of the case where the mask is 1, 0 elsewhere. */
function everywhere(gradient: readonly (readonly number[])[], { mask, vocab }: ConformanceInput): number[] {
  let row = 0;
  return mask.flat().flatMap((counted) => (counted ? gradient[row++]! : new Array<number>(vocab).fill(0)));
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
    const { loss, gradient } = await run(value, input);
    const expected = everywhere(value.gradient, input);
    const tolerance: Tolerance = value.tolerance;
    expectAllClose([loss], [value.value], tolerance, "value");
    expectAllClose(gradient, expected, tolerance, "gradient");
    note("value", [loss], [value.value]);
    note("gradient", gradient, expected);
  });
});

afterAll(() => {
  const count = files.reduce((sum, { cases }) => sum + cases.length, 0);
  console.info(
    `${count} cases; largest error in value ${largest.value.toExponential(1)}, in gradient ${largest.gradient.toExponential(1)}`,
  );
});
