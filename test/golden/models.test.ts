// Dimensions: B batch, T position, V vocabulary, R rows, D width.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gradientsOf } from "../../services/shared/ml/autodiff/gradients.js";
import { Graph, type Value } from "../../services/shared/ml/graph/graph.js";
import * as op from "../../services/shared/ml/graph/ops/index.js";
import { int32, int64, type Tensor } from "../../services/shared/ml/graph/tensor.js";
import { loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { causalAttention } from "../../services/shared/ml/models/forward/attention.js";
import { SequencePass } from "../../services/shared/ml/models/forward/sequence-pass.js";
import { hiddenStates, logits } from "../../services/shared/ml/models/hidden-states.js";
import type { Model } from "../../services/shared/ml/models/model.js";
import { declareModel, paramSpecs } from "../../services/shared/ml/models/model-params.js";
import { evaluate } from "../support/graph/evaluate.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { modelFixture, modelFixtures } from "../support/models/fixtures.js";

interface Golden {
  readonly kind: string;
  readonly rows: readonly (readonly number[])[];
  readonly logits: readonly (readonly (readonly number[])[])[];
  /** By weight: the gradient's L2 norm, and its product with cos(0), cos(1), … */
  readonly gradients: Readonly<Record<string, readonly [norm: number, projection: number]>>;
}

const goldenOf = (name: string) => JSON.parse(readFileSync(join(modelFixture(name), "golden.json"), "utf8")) as Golden;

/** The logits of real positions only, all rows padded to one batch: [R, V], and what to feed. */
function forward(model: Model, rows: Golden["rows"], as: "inputs" | "initializers") {
  const graph = new Graph("forward");
  const params = declareModel(graph, model.config, as === "inputs" ? "inputs" : model.params);
  const ids_BT = graph.input("ids", "int32", ["B", "T"]);
  const positions_BT = graph.input("positions", "int64", ["B", "T"]);
  const rows_R = graph.input("rows", "int64", ["R"]);
  const hidden_BTD = hiddenStates(new SequencePass(model.config, params, { positions_BT, attend: causalAttention() }), ids_BT);
  const hidden_RD = op.gather(op.reshape(hidden_BTD, ["BT", model.config.hiddenSize]), rows_R);
  const length = Math.max(...rows.map((row) => row.length));
  const filler = model.config.padId ?? 0;
  const feeds: Record<string, Tensor> = {
    ids: int32(
      rows.flatMap((row) => Array.from({ length }, (_, t) => row[t] ?? filler)),
      [rows.length, length],
    ),
    positions: int64(
      rows.flatMap(() => Array.from({ length }, (_, t) => t)),
      [rows.length, length],
    ),
    rows: int64(rows.flatMap((row, b) => row.map((_, t) => b * length + t))),
    ...(as === "inputs" ? Object.fromEntries(model.params) : {}),
  };
  return { graph, params, feeds, logits_RV: logits(model.config, params, hidden_RD) };
}

function sumOfSquares(logits_RV: Value): Value {
  return op.reduceSum(op.mul(logits_RV, logits_RV), [0, 1]);
}

describe.each(modelFixtures)("the %s decoder, against transformers", (name) => {
  const golden = goldenOf(name);

  it(`has the same logits (${golden.kind})`, async () => {
    const model = await loadModel(modelFixture(name));
    const { graph, feeds, logits_RV } = forward(model, golden.rows, "initializers");
    const { found } = await evaluate(graph, { found: logits_RV }, feeds);
    expectAllClose(found!.data as Float32Array, golden.logits.flat(2), { rtol: 0, atol: 1e-4 }, "logits");
  });

  it("has the same gradient for every weight", async () => {
    const model = await loadModel(modelFixture(name));
    const { graph, params, feeds, logits_RV } = forward(model, golden.rows, "inputs");
    const names = paramSpecs(model.config).map(({ name }) => name);
    const gradients = gradientsOf(
      sumOfSquares(logits_RV),
      names.map((weight) => params.weight(weight)),
    );
    const found = await evaluate(graph, Object.fromEntries(names.map((weight, i) => [`gradient of ${weight}`, gradients[i]!])), feeds);
    expect(names.sort()).toEqual(Object.keys(golden.gradients).sort());
    for (const weight of names) {
      const gradient = Array.from(found[`gradient of ${weight}`]!.data as Float32Array);
      const [norm, projection] = golden.gradients[weight]!;
      const foundNorm = Math.hypot(...gradient);
      const foundProjection = gradient.reduce((sum, g, i) => sum + g * Math.cos(i), 0);
      // The projection may be small by cancellation, so both are measured against the norm.
      expect([weight, Math.abs(foundNorm - norm) / norm < 1e-4, Math.abs(foundProjection - projection) / norm < 1e-4]).toEqual([
        weight,
        true,
        true,
      ]);
    }
  });
});
