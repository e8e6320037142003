import { narrowed, restRows, withRows } from "../../../../../services/shared/ml/models/vocabulary-rows.js";
import { Sampler } from "../../../../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../../../../services/shared/ml/scoring/scorer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";

const rows = 131;
const inputs = [{ promptIds: Int32Array.of(5, 9, 17), completionIds: Int32Array.of(21, 130, 2) }];
const full = { kind: "full", k: 0, temperature: 1 } as const;
const scorerOptions = { device: "cpu", threads: 1, batchTokens: 512 } as const;

/** log-softmax of the first columns of log-probabilities: what a softmax over these logits alone gives. */
function renormalised(logprobs: Float32Array, vocab: number, keep: number): number[] {
  return Array.from({ length: logprobs.length / vocab }, (_, n) => {
    const row = Array.from(logprobs.subarray(n * vocab, n * vocab + keep));
    const mass = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
    return row.map((x) => x - mass);
  }).flat();
}

describe.each([
  ["a tied head", smallConfigs.llama],
  ["a head of its own", smallConfigs["llama, one key per head, own head"]],
])("a model that is cut to its first rows, with %s", (_, config) => {
  const model = smallModel(config);
  const cut = narrowed(model, rows);

  it("has distributions over these rows, renormalised", async () => {
    const [whole] = await new Scorer(model.config, model.params, scorerOptions).score(inputs, full);
    const [part] = await new Scorer(cut.config, cut.params, scorerOptions).score(inputs, full);
    expect(part!.full).toHaveLength(3 * rows);
    expectAllClose(part!.full!, renormalised(whole!.full!, 150, rows), { rtol: 1e-5, atol: 1e-5 });
  });

  it("samples with the log-probabilities that it scores with", async () => {
    const sampler = new Sampler(cut.config, cut.params, { device: "cpu", threads: 1, chunkTokens: 4, maxRows: 4 });
    const promptIds = Int32Array.of(5, 9, 17);
    const [written] = await sampler.sample([{ promptIds, seed: 3n }], { temperature: 1, topK: 0, topP: 1, maxNewTokens: 6, stopIds: [] });
    const scorer = new Scorer(cut.config, cut.params, scorerOptions);
    const [scored] = await scorer.score([{ promptIds, completionIds: written!.ids }], full);
    expectAllClose(written!.logprobs, scored!.logprobs!, { rtol: 1e-5, atol: 1e-5 });
  });

  it("gets its other rows back as they were", () => {
    const whole = withRows(cut.params, restRows(model, rows));
    expect([...whole.keys()]).toEqual([...model.params.keys()]);
    for (const [name, { dims, data }] of model.params) {
      expect(whole.get(name)!.dims).toEqual(dims);
      expect(whole.get(name)!.data).toEqual(data);
    }
    expect(cut.rawConfig.vocab_size).toBe(rows);
  });

  it("is itself where nothing is cut off", () => {
    for (const count of [0, 150, 200]) {
      expect(narrowed(model, count)).toBe(model);
      expect(restRows(model, count).size).toBe(0);
    }
  });
});
