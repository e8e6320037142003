// Dimensions: B batch, T position, D width, G key/value heads, E head size.
import { normals } from "../../../../../../services/shared/base/random.js";
import { Graph, type Value } from "../../../../../../services/shared/ml/graph/graph.js";
import * as op from "../../../../../../services/shared/ml/graph/ops/index.js";
import { float32, int64 } from "../../../../../../services/shared/ml/graph/tensor.js";
import type { Architecture } from "../../../../../../services/shared/ml/models/architectures/architecture.js";
import { architectures } from "../../../../../../services/shared/ml/models/architectures/table.js";
import { type AttentionInputs, causalAttention } from "../../../../../../services/shared/ml/models/forward/attention.js";
import { declareFused } from "../../../../../../services/shared/ml/models/forward/fused-projections.js";
import type { Pass } from "../../../../../../services/shared/ml/models/forward/pass.js";
import { SequencePass } from "../../../../../../services/shared/ml/models/forward/sequence-pass.js";
import { StepPass } from "../../../../../../services/shared/ml/models/forward/step-pass.js";
import { tokenLayout } from "../../../../../../services/shared/ml/models/forward/token-layout.js";
import { attentionsOf, hiddenStates } from "../../../../../../services/shared/ml/models/hidden-states.js";
import type { Model } from "../../../../../../services/shared/ml/models/model.js";
import { declareModel } from "../../../../../../services/shared/ml/models/model-params.js";
import { evaluate } from "../../../../../support/graph/evaluate.js";
import { expectAllClose } from "../../../../../support/jest/all-close.js";
import { smallConfigs, smallModel } from "../../../../../support/models/small-model.js";

/** Rows, positions of each, and how many of these the far cache holds; the last one is the step's, those between are near. */
const [batch, time, far] = [3, 7, 4];

/** Both forms of a pass over the same texts: `stepped` is what the step's form makes of the last position. */
async function bothForms({ config, params }: Model, of: (pass: Pass, x: Value, ids: Value) => Value, isFused = true) {
  const graph = new Graph("passes");
  const weights = declareModel(graph, config, params);
  const { hiddenSize: width, heads, kvHeads } = config;
  const share = heads / kvHeads;
  const ids_BT = graph.input("ids", "int64", ["B", "T"]);
  const positions_BT = graph.input("positions", "int64", ["B", "T"]);
  const x_BTD = graph.input("x", "float32", ["B", "T", width]);
  const integers = (rows: number, each: (i: number) => number) =>
    int64(
      Array.from({ length: batch * rows }, (_, i) => each(i)),
      [batch, rows],
    );
  const feeds = {
    ids: integers(time, (i) => 3 + ((i * 29) % 140)),
    positions: integers(time, (i) => i % time),
    x: float32(normals(5n, batch * time * width, 1), [batch, time, width]),
    rows: integers(1, (i) => i),
    places: integers(1, () => 0),
    last: integers(1, () => time - 1),
  };
  const seen: AttentionInputs[] = [];
  const causal = causalAttention();
  const attend = (inputs: AttentionInputs) => {
    seen.push(inputs);
    return causal(inputs);
  };
  const whole_BTX = of(new SequencePass(config, weights, { positions_BT, attend }), x_BTD, ids_BT);
  const cut = (x: Value, axis: number, from: number, to: number) =>
    op.slice(x, axis, graph.constant(int64([from])), graph.constant(int64([to])), to - from);
  const cacheOf = (from: number, to: number) => seen.map(({ k, v }) => ({ k: cut(k, 2, from, to), v: cut(v, 2, from, to) }));
  const rows_N1 = op.withShape(graph.input("rows", "int64", ["N", 1]), ["N", 1]);
  const rows = { tokens_BP: op.withShape(rows_N1, ["B", 1]), rows_N1, places_N1: graph.input("places", "int64", ["N", 1]) };
  const queries = batch * share * time;
  const place = {
    positions_N1: graph.input("last", "int64", ["N", 1]),
    layout: tokenLayout(config, rows, isFused),
    far: cacheOf(0, far),
    near: cacheOf(far, time - 1),
    mask_BGQU: op.withShape(graph.constant(float32(new Float32Array(queries), [batch, 1, share, time])), ["B", 1, share, time]),
    distances_BQU: op.withShape(
      graph.constant(
        int64(
          Array.from({ length: queries }, (_, i) => time - 1 - (i % time)),
          [batch, share, time],
        ),
      ),
      ["B", share, time],
    ),
  };
  const fused = isFused ? declareFused(graph, config, params, attentionsOf(config)) : undefined;
  const step = new StepPass(config, weights, fused, place);
  const last = (x: Value) => cut(x, 1, time - 1, time);
  const stepped_B1X = of(step, op.withShape(last(x_BTD), ["N", 1, width]), op.withShape(last(ids_BT), ["N", 1]));
  const found = await evaluate(graph, { whole: last(whole_BTX), stepped: stepped_B1X }, feeds);
  const [whole, stepped] = [found.whole!.data as Float32Array, found.stepped!.data as Float32Array];
  expect(stepped).toHaveLength(batch * width);
  return { whole, stepped };
}

const cases = Object.entries(smallConfigs);

describe("StepPass", () => {
  it("is tried with every decoder; those of encoder-decoders have a test of their own", () => {
    const decoders = Object.entries<Architecture>(architectures).flatMap(([type, { encoder }]) => (encoder ? [] : [type]));
    expect(new Set<string>(cases.map(([, config]) => config.model_type))).toEqual(new Set(decoders));
  });

  it.each(cases)("makes of one token what SequencePass makes of it, from ids to the final norm: %s", async (_, config) => {
    const model = smallModel(config);
    const { whole, stepped } = await bothForms(model, (pass, _x, ids) => hiddenStates(pass, ids));
    expectAllClose(stepped, whole, { rtol: 1e-4, atol: 1e-5 });
  });

  it.each(cases)("has the same attention with projections fused or apart and the cache in two parts: %s", async (_, config) => {
    const model = smallModel(config);
    const attention = attentionsOf(model.config)[0]!;
    for (const isFused of [true, false]) {
      const { whole, stepped } = await bothForms(model, (pass, x) => pass.attention(attention, x), isFused);
      expectAllClose(stepped, whole, { rtol: 1e-4, atol: 1e-5 });
    }
  });

  it("adds to the residual stream and norms it in one operator, once, twice and not at all", async () => {
    const model = smallModel();
    for (const additions of [0, 1, 2, 3]) {
      const { whole, stepped } = await bothForms(model, (pass, x) => {
        const residual = pass.residual(x);
        for (let i = 0; i < additions; i++) residual.add(op.mul(x, 0.5 + i));
        const first = residual.norm("model.norm");
        residual.add(first);
        return op.add(first, residual.norm("model.layers.0.input_layernorm"));
      });
      expectAllClose(stepped, whole, { rtol: 1e-5, atol: 1e-6 });
    }
  });
});
