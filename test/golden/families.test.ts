// Dimensions: B batch, T position, V vocabulary, R rows, D width.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gradientsOf } from "../../services/shared/ml/autodiff/gradients.js";
import { Graph } from "../../services/shared/ml/graph/graph.js";
import * as op from "../../services/shared/ml/graph/ops/index.js";
import { int32, int64, type Tensor } from "../../services/shared/ml/graph/tensor.js";
import { openLanguageModel } from "../../services/shared/ml/models/checkpoint/check.js";
import { readStored } from "../../services/shared/ml/models/checkpoint/read.js";
import type { ModelConfig } from "../../services/shared/ml/models/config/model-config.js";
import { exportedConfig } from "../../services/shared/ml/models/exported-config.js";
import { causalAttention } from "../../services/shared/ml/models/forward/attention.js";
import { SequencePass } from "../../services/shared/ml/models/forward/sequence-pass.js";
import { hiddenStates, logits } from "../../services/shared/ml/models/hidden-states.js";
import { declareModel, paramSpecs } from "../../services/shared/ml/models/model-params.js";
import type { Weights } from "../../services/shared/ml/models/param-spec.js";
import { parseConfig } from "../../services/shared/ml/models/parse-config.js";
import { Sampler } from "../../services/shared/ml/sampling/sampler.js";
import { evaluate } from "../support/graph/evaluate.js";
import { expectAllClose } from "../support/jest/all-close.js";

interface Golden {
  readonly kind: string;
  readonly rows: readonly (readonly number[])[];
  readonly logits: readonly (readonly (readonly number[])[])[];
  /** By weight: the gradient's L2 norm, and its product with cos(0), cos(1), … */
  readonly gradients: Readonly<Record<string, readonly [norm: number, projection: number]>>;
}

const fixtures = join(process.cwd(), "test", "golden", "fixtures", "families");
const names = readdirSync(fixtures).sort();
const goldenOf = (name: string) => JSON.parse(readFileSync(join(fixtures, name, "golden.json"), "utf8")) as Golden;

async function read(name: string): Promise<{ config: ModelConfig; params: Weights; rawConfig: Readonly<Record<string, unknown>> }> {
  const { config, tensors, rawConfig } = await openLanguageModel(join(fixtures, name));
  return { config, params: await readStored(tensors), rawConfig };
}

/** The logits of real positions only, all rows padded to one batch: [R, V], and what to feed. */
function forward(config: ModelConfig, rows: Golden["rows"]) {
  const graph = new Graph("forward");
  const params = declareModel(graph, config, "inputs");
  const ids_BT = graph.input("ids", "int32", ["B", "T"]);
  const positions_BT = graph.input("positions", "int64", ["B", "T"]);
  const rows_R = graph.input("rows", "int64", ["R"]);
  const hidden_BTD = hiddenStates(new SequencePass(config, params, { positions_BT, attend: causalAttention() }), ids_BT);
  const hidden_RD = op.gather(op.reshape(hidden_BTD, ["BT", config.hiddenSize]), rows_R);
  const length = Math.max(...rows.map((row) => row.length));
  const each = (of: (row: readonly number[], t: number) => number) => rows.flatMap((row) => Array.from({ length }, (_, t) => of(row, t)));
  const dims = [rows.length, length];
  const feeds: Record<string, Tensor> = {
    ids: int32(
      each((row, t) => row[t] ?? 0),
      dims,
    ),
    positions: int64(
      each((_, t) => t),
      dims,
    ),
    rows: int64(rows.flatMap((row, b) => row.map((_, t) => b * length + t))),
  };
  return { graph, params, feeds, logits_RV: logits(config, params, hidden_RD) };
}

const logSoftmax = (row: readonly number[], at: number): number => {
  const top = Math.max(...row);
  return row[at]! - top - Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
};

describe.each(names)("%s, against transformers", (name) => {
  const golden = goldenOf(name);

  it(`has the same logits, and the same gradient for every weight (${golden.kind})`, async () => {
    const { config, params } = await read(name);
    const { graph, params: declared, feeds, logits_RV } = forward(config, golden.rows);
    const weights = paramSpecs(config).map((spec) => spec.name);
    const loss = op.reduceSum(op.mul(logits_RV, logits_RV), [0, 1]);
    const gradients = gradientsOf(
      loss,
      weights.map((weight) => declared.weight(weight)),
    );
    const wanted = { logits: logits_RV, ...Object.fromEntries(weights.map((weight, i) => [`gradient of ${weight}`, gradients[i]!])) };
    const found = await evaluate(graph, wanted, { ...feeds, ...Object.fromEntries(params) });
    expectAllClose(found.logits!.data as Float32Array, golden.logits.flat(2), { rtol: 0, atol: 1e-4 }, "logits");
    expect([...weights].sort()).toEqual(Object.keys(golden.gradients).sort());
    const largest = Math.max(...Object.values(golden.gradients).map(([norm]) => norm));
    for (const weight of weights) {
      const gradient = Array.from(found[`gradient of ${weight}`]!.data as Float32Array);
      const [norm, projection] = golden.gradients[weight]!;
      const errors = [Math.hypot(...gradient) - norm, gradient.reduce((sum, g, i) => sum + g * Math.cos(i), 0) - projection];
      // The projection may be small by cancellation, so both are measured against the norm; and that of a bias on keys that
      // are not rotated is 0 but for rounding.
      const scale = Math.max(norm, 1e-3 * largest);
      expect([weight, ...errors.map((error) => Math.abs(error) / scale < 1e-4)]).toEqual([weight, true, true]);
    }
  });

  it("samples from a cache, chunk by chunk, what the whole pass says", async () => {
    const { config, params } = await read(name);
    const options = { device: "cpu", threads: 1, chunkTokens: 5, maxRows: 4 } as const;
    const sampler = new Sampler(config, params, options);
    const prompts = golden.rows.map((row) => row.slice(0, 9));
    const requests = prompts.map((row, i) => ({ promptIds: Int32Array.from(row), seed: BigInt(i) }));
    const written = await sampler.sample(requests, { temperature: 1, topK: 0, topP: 1, maxNewTokens: 13, stopIds: [], topIds: 0 });
    await sampler.release();
    const texts = written.map(({ ids }, i) => [...prompts[i]!, ...ids]);
    const { graph, feeds, logits_RV } = forward(config, texts);
    const found = await evaluate(graph, { logits: logits_RV }, { ...feeds, ...Object.fromEntries(params) });
    const flat = found.logits!.data as Float32Array;
    let row = 0;
    for (const [i, text] of texts.entries()) {
      const prompt = prompts[i]!.length;
      const { ids, logprobs } = written[i]!;
      const expected = Array.from(ids, (id, n) => {
        const at = (row + prompt - 1 + n) * config.vocabSize;
        return logSoftmax(Array.from(flat.subarray(at, at + config.vocabSize)), id);
      });
      expectAllClose(logprobs, expected, { rtol: 0, atol: 2e-4 }, "log-probabilities");
      row += text.length;
    }
  });

  it("says the same in the config that it is saved with", async () => {
    const { config, rawConfig } = await read(name);
    expect(parseConfig(exportedConfig(rawConfig))).toEqual(config);
  });
});
