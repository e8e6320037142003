// Dimensions: B batch, T position, P position of a prompt, D width, H heads, L keys up to the last one.
import { found } from "../../../../../../services/shared/base/found.js";
import { normals } from "../../../../../../services/shared/base/random.js";
import { Graph, type Value } from "../../../../../../services/shared/ml/graph/graph.js";
import * as op from "../../../../../../services/shared/ml/graph/ops/index.js";
import { float32, int64 } from "../../../../../../services/shared/ml/graph/tensor.js";
import type { Architecture } from "../../../../../../services/shared/ml/models/architectures/architecture.js";
import { declarePrompts, promptFeeds } from "../../../../../../services/shared/ml/models/architectures/sequence-inputs.js";
import { architectureOf, architectures } from "../../../../../../services/shared/ml/models/architectures/table.js";
import { encodedPrompts } from "../../../../../../services/shared/ml/models/encoded-prompts.js";
import { type AttentionInputs, causalAttention } from "../../../../../../services/shared/ml/models/forward/attention.js";
import type { Pass } from "../../../../../../services/shared/ml/models/forward/pass.js";
import { positionsOf } from "../../../../../../services/shared/ml/models/forward/positions.js";
import { backwardBias, relativeBias } from "../../../../../../services/shared/ml/models/forward/relative-bias.js";
import { SequencePass } from "../../../../../../services/shared/ml/models/forward/sequence-pass.js";
import { StepPass } from "../../../../../../services/shared/ml/models/forward/step-pass.js";
import { tokenLayout } from "../../../../../../services/shared/ml/models/forward/token-layout.js";
import { attentionsOf, hiddenStates } from "../../../../../../services/shared/ml/models/hidden-states.js";
import type { Model } from "../../../../../../services/shared/ml/models/model.js";
import { declareModel } from "../../../../../../services/shared/ml/models/model-params.js";
import { evaluate } from "../../../../../support/graph/evaluate.js";
import { expectAllClose } from "../../../../../support/jest/all-close.js";
import { smallT5, t5Configs } from "../../../../../support/models/small-t5.js";

/** Positions of a row, and how many of these the far cache holds; the last one is the step's, those between are near. */
const [time, far] = [7, 4];
const prompts = [5, 1, 12].map((length, i) => Int32Array.from({ length }, (_, j) => 3 + ((i * 41 + j * 17) % 140)));

/** Both forms of a decoder's pass over the same texts: `stepped` is what the step's form makes of the last position. */
async function bothForms({ config, params }: Model, of: (pass: Pass, x: Value, ids: Value) => Value) {
  const graph = new Graph("passes");
  const weights = declareModel(graph, config, params);
  const encoder = found(architectureOf(config).encoder, "the encoder");
  const width = config.hiddenSize;
  const ids_BT = graph.input("ids", "int64", ["B", "T"]);
  const x_BTD = graph.input("x", "float32", ["B", "T", width]);
  const encoded = encodedPrompts(config, weights, encoder, declarePrompts(graph));
  const seen: AttentionInputs[] = [];
  const bias = encoder.decoderBias(config);
  const causal = causalAttention(relativeBias(weights, bias, op.dimOf(ids_BT, 1), "T"));
  const attend = (inputs: AttentionInputs) => {
    seen.push(inputs);
    return causal(inputs);
  };
  const positions_BT = positionsOf(ids_BT);
  const whole_BTX = of(new SequencePass(config, weights, { positions_BT, attend, encoded }), x_BTD, ids_BT);
  const cut = (x: Value, axis: number, from: number, to: number) =>
    op.slice(x, axis, graph.constant(int64([from])), graph.constant(int64([to])), to - from);
  const cacheOf = (from: number, to: number) => seen.map(({ k, v }) => ({ k: cut(k, 2, from, to), v: cut(v, 2, from, to) }));
  const [last_B1D, last_B1] = [cut(x_BTD, 1, time - 1, time), cut(ids_BT, 1, time - 1, time)];
  const rows_N1 = graph.input("rows", "int64", ["N", 1]);
  const none_N1 = op.mul(rows_N1, graph.constant(int64([0], [])));
  const rows = { tokens_BP: op.withShape(rows_N1, ["B", 1]), rows_N1, places_N1: none_N1 };
  const distances_BQU = op.withShape(
    graph.constant(
      int64(
        Array.from({ length: prompts.length * time }, (_, i) => time - 1 - (i % time)),
        [prompts.length, 1, time],
      ),
    ),
    ["B", 1, time],
  );
  const mask_BGQU = backwardBias(weights, bias, distances_BQU);
  const layout = tokenLayout(config, rows, false);
  const place = { positions_N1: none_N1, layout, far: cacheOf(0, far), near: cacheOf(far, time - 1), mask_BGQU, encoded };
  const step = new StepPass(config, weights, undefined, place);
  const stepped_B1X = of(step, op.withShape(last_B1D, ["N", 1, width]), op.withShape(last_B1, ["N", 1]));
  const feeds = {
    ids: int64(
      Array.from({ length: prompts.length * time }, (_, i) => 3 + ((i * 29) % 140)),
      [prompts.length, time],
    ),
    x: float32(normals(5n, prompts.length * time * width, 1), [prompts.length, time, width]),
    ...promptFeeds(prompts, 0),
    rows: int64(
      prompts.map((_, i) => i),
      [prompts.length, 1],
    ),
  };
  const outputs = await evaluate(graph, { whole: cut(whole_BTX, 1, time - 1, time), stepped: stepped_B1X }, feeds);
  const [whole, stepped] = [outputs.whole!.data as Float32Array, outputs.stepped!.data as Float32Array];
  expect(stepped).toHaveLength(prompts.length * width);
  return { whole, stepped };
}

const cases = Object.entries(t5Configs);

describe("StepPass of an encoder-decoder", () => {
  it("is tried with every family of them", () => {
    const types = Object.entries<Architecture>(architectures).flatMap(([type, { encoder }]) => (encoder ? [type] : []));
    expect(new Set<string>(cases.map(([, config]) => config.model_type))).toEqual(new Set(types));
  });

  it.each(cases)("makes of one token what SequencePass makes of it, from ids to the final norm: %s", async (_, config) => {
    const { whole, stepped } = await bothForms(smallT5(config), (pass, _x, ids) => hiddenStates(pass, ids));
    expectAllClose(stepped, whole, { rtol: 1e-4, atol: 1e-5 });
  });

  it.each(cases)("has the same attention to itself and to the prompt: %s", async (_, config) => {
    const model = smallT5(config);
    const attention = attentionsOf(model.config)[0]!;
    const cross = found(architectureOf(model.config).encoder, "the encoder").cross(1);
    const { whole, stepped } = await bothForms(model, (pass, x) => op.add(pass.attention(attention, x), pass.crossAttention(cross, x)));
    expectAllClose(stepped, whole, { rtol: 1e-4, atol: 1e-5 });
  });
});
