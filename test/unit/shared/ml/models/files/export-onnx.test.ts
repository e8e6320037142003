import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ort from "onnxruntime-node";
import { Graph } from "../../../../../../services/shared/ml/graph/graph.js";
import { int32, int64 } from "../../../../../../services/shared/ml/graph/tensor.js";
import { saveOnnx } from "../../../../../../services/shared/ml/models/files/export-onnx.js";
import { loadModel } from "../../../../../../services/shared/ml/models/files/model-files.js";
import { causalAttention } from "../../../../../../services/shared/ml/models/forward/attention.js";
import { SequencePass } from "../../../../../../services/shared/ml/models/forward/sequence-pass.js";
import { hiddenStates, logits } from "../../../../../../services/shared/ml/models/hidden-states.js";
import type { Model } from "../../../../../../services/shared/ml/models/model.js";
import { declareModel } from "../../../../../../services/shared/ml/models/model-params.js";
import { evaluate } from "../../../../../support/graph/evaluate.js";
import { expectAllClose } from "../../../../../support/jest/all-close.js";
import { modelFixture } from "../../../../../support/models/fixtures.js";
import { smallConfigs, smallModel } from "../../../../../support/models/small-model.js";

/** The engine's logits of whole rows of one length: [B·T·V]. */
async function engineLogits({ config, params }: Model, rows: readonly number[][]): Promise<Float32Array> {
  const graph = new Graph("forward");
  const dims = [rows.length, rows[0]!.length];
  const ids_BT = graph.input("ids", "int32", ["B", "T"]);
  const positions_BT = graph.input("positions", "int64", ["B", "T"]);
  const declared = declareModel(graph, config, params);
  const hidden = hiddenStates(new SequencePass(config, declared, { positions_BT, attend: causalAttention() }), ids_BT);
  const positions = rows.flatMap((row) => row.map((_, t) => t));
  const feeds = { ids: int32(rows.flat(), dims), positions: int64(positions, dims) };
  const { found } = await evaluate(graph, { found: logits(config, declared, hidden) }, feeds);
  return found!.data as Float32Array;
}

type Past = Readonly<Record<string, ort.Tensor>>;

/** Runs an exported model with stock onnxruntime, as any program would. */
class Exported {
  readonly #session: ort.InferenceSession;
  readonly #config: Model["config"];

  constructor(session: ort.InferenceSession, config: Model["config"]) {
    this.#session = session;
    this.#config = config;
  }

  async run(rows: readonly number[][], mask: readonly number[][], positions: readonly number[][], past?: Past) {
    const int64 = (list: readonly number[][]) =>
      new ort.Tensor("int64", BigInt64Array.from(list.flat(), BigInt), [list.length, list[0]!.length]);
    const { layers, kvHeads, headDim } = this.#config;
    const names = Array.from({ length: layers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
    const empty = () => new ort.Tensor("float32", new Float32Array(), [rows.length, kvHeads, 0, headDim]);
    const cache = Object.fromEntries(names.map((name) => [`past_key_values.${name}`, past?.[`present.${name}`] ?? empty()]));
    const feeds = { input_ids: int64(rows), attention_mask: int64(mask), position_ids: int64(positions), ...cache };
    const results = await this.#session.run(feeds);
    return { logits: results.logits!.data as Float32Array, dims: results.logits!.dims, past: results as Past };
  }
}

const counting = (length: number, from = 0) => Array.from({ length }, (_, t) => from + t);
const rows = [
  [3, 1, 4, 1, 5, 9, 2, 6],
  [2, 7, 1, 8, 2, 8, 1, 8],
];

describe.each(Object.entries(smallConfigs))("saveOnnx() of %s", (_, raw) => {
  const model = smallModel(raw, 11n);
  const { vocabSize } = model.config;
  let directory: string;
  let exported: Exported;
  let expected: Float32Array;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-onnx-"));
    expect(await saveOnnx(directory, model)).toEqual(["model.onnx"]);
    exported = new Exported(await ort.InferenceSession.create(join(directory, "model.onnx")), model.config);
    expected = await engineLogits(model, rows);
  });
  afterAll(() => rm(directory, { recursive: true }));
  const close = (found: ArrayLike<number>, wanted: ArrayLike<number>) =>
    expectAllClose(found, wanted, { rtol: 1e-5, atol: 1e-5 }, "logits");
  /** The engine's logits of one row at positions [from, to). */
  const part = (row: number, from: number, to: number) => expected.slice((row * 8 + from) * vocabSize, (row * 8 + to) * vocabSize);

  it("has the engine's logits", async () => {
    const ones = rows.map((row) => row.map(() => 1));
    const { logits, dims } = await exported.run(rows, ones, [counting(8), counting(8)]);
    expect(dims).toEqual([2, 8, vocabSize]);
    close(logits, expected);
  });

  it("has them in rows that are padded on the left, and on the right", async () => {
    const ids = [
      [0, 0, 0, ...rows[0]!.slice(0, 5)],
      [...rows[1]!.slice(0, 6), 0, 0],
    ];
    const mask = [
      [0, 0, 0, 1, 1, 1, 1, 1],
      [1, 1, 1, 1, 1, 1, 0, 0],
    ];
    const { logits } = await exported.run(ids, mask, [[0, 0, 0, ...counting(5)], counting(8)]);
    close(logits.slice(3 * vocabSize, 8 * vocabSize), part(0, 0, 5));
    close(logits.slice(8 * vocabSize, 14 * vocabSize), part(1, 0, 6));
  });

  it("has them token by token after a prefill, from its own past", async () => {
    const short = rows.map((row) => row.slice(0, 5));
    let { past } = await exported.run(
      short,
      short.map((row) => row.map(() => 1)),
      [counting(5), counting(5)],
    );
    for (let t = 5; t < 8; t++) {
      const ones = rows.map(() => counting(t + 1).map(() => 1));
      const step = await exported.run(
        rows.map((row) => [row[t]!]),
        ones,
        [[t], [t]],
        past,
      );
      past = step.past;
      close(step.logits, [...part(0, t, t + 1), ...part(1, t, t + 1)]);
    }
  });

  it("takes batches and lengths of any size", async () => {
    const one = await exported.run([[3]], [[1]], [[0]]);
    close(one.logits, part(0, 0, 1));
    const seven = await exported.run(Array(7).fill([3, 1]), Array(7).fill([1, 1]), Array(7).fill([0, 1]));
    close(seven.logits.slice(-2 * vocabSize), part(0, 0, 2));
  });
});

describe("saveOnnx()", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-onnx-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("puts weights that are too large for one file beside it, and the model is the same", async () => {
    const model = smallModel();
    expect(await saveOnnx(directory, model, undefined, 10_000)).toEqual(["model.onnx", "model.onnx.data"]);
    expect((await stat(join(directory, "model.onnx"))).size).toBeLessThan((await stat(join(directory, "model.onnx.data"))).size);
    const exported = new Exported(await ort.InferenceSession.create(join(directory, "model.onnx")), model.config);
    const { logits } = await exported.run(rows, [Array(8).fill(1), Array(8).fill(1)], [counting(8), counting(8)]);
    expectAllClose(logits, await engineLogits(model, rows), { rtol: 1e-5, atol: 1e-5 });
  });

  it("saves config and tokenizer with it: what it came with, as it was", async () => {
    const from = modelFixture("qwen2");
    await saveOnnx(directory, await loadModel(from), from);
    const expected = [
      "chat_template.jinja",
      "config.json",
      "generation_config.json",
      "model.onnx",
      "tokenizer.json",
      "tokenizer_config.json",
    ];
    expect((await readdir(directory)).sort()).toEqual(expected);
  });
});
