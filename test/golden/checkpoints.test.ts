// Dimensions: T position, D width, P chosen position, V vocabulary.
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Graph } from "../../services/shared/ml/graph/graph.js";
import * as op from "../../services/shared/ml/graph/ops/index.js";
import { int32, int64 } from "../../services/shared/ml/graph/tensor.js";
import { openLanguageModel } from "../../services/shared/ml/models/checkpoint/check.js";
import { readStored } from "../../services/shared/ml/models/checkpoint/read.js";
import type { ModelConfig } from "../../services/shared/ml/models/config/model-config.js";
import { exportedConfig } from "../../services/shared/ml/models/exported-config.js";
import { loadHead } from "../../services/shared/ml/models/files/load-head.js";
import { causalAttention } from "../../services/shared/ml/models/forward/attention.js";
import { SequencePass } from "../../services/shared/ml/models/forward/sequence-pass.js";
import { hiddenStates, logits } from "../../services/shared/ml/models/hidden-states.js";
import { declareModel, headName } from "../../services/shared/ml/models/model-params.js";
import type { Weights } from "../../services/shared/ml/models/param-spec.js";
import { parseConfig } from "../../services/shared/ml/models/parse-config.js";
import { evaluate } from "../support/graph/evaluate.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { encodeSafetensors } from "../support/models/encode-safetensors.js";

interface Golden {
  readonly row: readonly number[];
  readonly positions: readonly number[];
  readonly cases: Readonly<Record<string, Case>>;
}

interface Case {
  /** JSON, or base64 of a safetensors file. */
  readonly files: Readonly<Record<string, unknown>>;
  readonly logits: readonly (readonly number[])[];
  readonly tied: boolean;
}

const golden = JSON.parse(readFileSync(join(process.cwd(), "test", "golden", "fixtures", "checkpoints.json"), "utf8")) as Golden;

/** Logits [P, V] of the golden row. */
async function logitsOf(config: ModelConfig, params: Weights): Promise<Float32Array> {
  const graph = new Graph("forward");
  const weights = declareModel(graph, config, params);
  const dims = [1, golden.row.length];
  const feeds = {
    ids: int32([...golden.row], dims),
    positions: int64(
      golden.row.map((_, t) => t),
      dims,
    ),
    chosen: int64([...golden.positions]),
  };
  const [ids_BT, positions_BT] = [graph.input("ids", "int32", [1, "T"]), graph.input("positions", "int64", [1, "T"])];
  const hidden_BTD = hiddenStates(new SequencePass(config, weights, { positions_BT, attend: causalAttention() }), ids_BT);
  const hidden_PD = op.gather(op.reshape(hidden_BTD, ["T", config.hiddenSize]), graph.input("chosen", "int64", ["P"]));
  const { found } = await evaluate(graph, { found: logits(config, weights, hidden_PD) }, feeds);
  return found!.data as Float32Array;
}

describe.each(Object.keys(golden.cases))("a model directory of the form %s", (name) => {
  const { files, logits: expected, tied } = golden.cases[name]!;
  let directory: string;
  beforeAll(async () => {
    // A folder that is named is kept, for `checkpoints.py --check`.
    const root = process.env.RETORT_GOLDEN_SAVED ?? (await mkdtemp(join(tmpdir(), "retort-checkpoints-")));
    directory = join(root, name);
    await mkdir(directory, { recursive: true });
    for (const [file, content] of Object.entries(files))
      await writeFile(join(directory, file), typeof content === "string" ? Buffer.from(content, "base64") : JSON.stringify(content));
  });
  afterAll(async () => {
    if (!process.env.RETORT_GOLDEN_SAVED) await rm(join(directory, ".."), { recursive: true });
  });

  it("has the logits that transformers computes, and its head where transformers has it", async () => {
    const { config, tensors } = await openLanguageModel(directory);
    const params = await readStored(tensors);
    expect(config.tieWordEmbeddings).toBe(tied);
    expectAllClose(await logitsOf(config, params), expected.flat(), { rtol: 1e-5, atol: 2e-5 }, "logits");
    expect(await loadHead(directory)).toEqual(params.get(headName(config)));
  });

  it("is the same model once it is saved", async () => {
    const { config, rawConfig, tensors } = await openLanguageModel(directory);
    const saved = exportedConfig(rawConfig);
    expect(parseConfig(saved)).toEqual(config);
    expect([saved.dtype, saved.torch_dtype]).toEqual(["float32", "float32"]);
    if (!process.env.RETORT_GOLDEN_SAVED) return;
    const params = await readStored(tensors);
    for (const file of Object.keys(files)) await rm(join(directory, file));
    await writeFile(join(directory, "config.json"), JSON.stringify(saved));
    await writeFile(join(directory, "model.safetensors"), encodeSafetensors(params));
  });
});
