// Dimensions: B batch, S new position, T position with the past, G key/value heads, E head size, V vocabulary.
import { Graph, type Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { int64 } from "../../graph/tensor.js";
import { writeModel } from "../../graph/write-model.js";
import { requireDecoder } from "../architectures/table.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Rotary } from "../config/rope.js";
import type { Constants } from "../constants.js";
import { maskedAttention, maskedScore, maskOfDistance } from "../forward/attention.js";
import { computedTables, type RotaryTables } from "../forward/rotary.js";
import { type Attention, SequencePass } from "../forward/sequence-pass.js";
import { hiddenStates, logits } from "../hidden-states.js";
import type { Model } from "../model.js";
import { declareModel } from "../model-params.js";
import { saveCompanions } from "./model-files.js";

/**
 * A decoder as a model that stands alone, with the names that Optimum and transformers.js use.
 * Inputs: input_ids [B, S], attention_mask [B, T] (1 where there is a token), position_ids [B, S], all int64, and
 * past_key_values.N.key/.value [B, G, T-S, E], of length 0 at the start.
 * Outputs: logits [B, S, V] and present.N.key/.value [B, G, T, E], the past of the next call. Batch, S and T are free.
 */
export function onnxGraph(config: ModelConfig, weights: Constants): Graph {
  const graph = new Graph("decoder");
  const params = declareModel(graph, config, weights);
  const ids_BS = graph.input("input_ids", "int64", ["batch", "sequence"]);
  const present_BT = graph.input("attention_mask", "int64", ["batch", "total"]);
  const positions_BS = graph.input("position_ids", "int64", ["batch", "sequence"]);
  const past = Array.from({ length: config.layers }, (_, layer) =>
    kinds.map((kind) => graph.input(`past_key_values.${layer}.${kind}`, "float32", ["batch", config.kvHeads, "past", config.headDim])),
  );
  const masks = new Map<number | undefined, Value>();
  const cache: Value[][] = [];
  const attend: Attention = ({ layer, q, k, v, window, ...form }) => {
    const whole = [k, v].map((fresh, i) => op.concat([past[layer]![i]!, fresh], 2, "total"));
    cache.push(whole);
    const mask_B1ST = masks.get(window) ?? pastMask(ids_BS, present_BT, window);
    masks.set(window, mask_B1ST);
    return maskedAttention(q, whole[0]!, whole[1]!, mask_B1ST, form);
  };
  const hidden_BSD = hiddenStates(
    new SequencePass(config, params, { positions_BT: positions_BS, attend, ...farTables(config, positions_BS) }),
    ids_BS,
  );
  graph.output("logits", logits(config, params, hidden_BSD));
  for (const [layer, values] of cache.entries())
    for (const [i, kind] of kinds.entries()) graph.output(`present.${layer}.${kind}`, values[i]!);
  return graph;
}

/** Up to here the rotary tables are constants of the file (32 MB at 64 pairs of channels). */
const longestConstant = 65_536;

/** Tables as long as the positions of the call need, where constants for all that the model has would be the larger part of the file. */
function farTables(config: ModelConfig, positions_BS: Value): { tables?: (rotary: Rotary) => RotaryTables<Value> } {
  if (config.maxPositions <= longestConstant) return {};
  const length = op.add(op.reduceMax(positions_BS), positions_BS.graph.constant(int64([1], [])));
  const made = new Map<string, RotaryTables<Value>>();
  const tables = (rotary: Rotary): RotaryTables<Value> => {
    const key = JSON.stringify(rotary);
    const known = made.get(key) ?? computedTables(rotary, length);
    made.set(key, known);
    return known;
  };
  return { tables };
}

const kinds = ["key", "value"] as const;

/**
 * [B, 1, S, T]: 0 where a new position may see a token, itself and the past included; else the masked score. Padding counts as
 * positions of a window, as in transformers.
 */
function pastMask(ids_BS: Value, present_BT: Value, window: number | undefined): Value {
  const { graph } = ids_BS;
  const [zero, one] = [graph.constant(int64([0], [])), graph.constant(int64([1], []))];
  const total = op.squeeze(op.dimOf(present_BT, 1), [0]);
  const columns_T = op.iota(total, "total");
  const rows_S = op.range(op.sub(total, op.squeeze(op.dimOf(ids_BS, 1), [0])), total, one, "sequence");
  if (window !== undefined) {
    const near_ST = maskOfDistance(op.sub(op.unsqueeze(rows_S, [1]), op.unsqueeze(columns_T, [0])), window);
    return op.add(op.where(op.unsqueeze(op.greater(present_BT, zero), [1, 2]), 0, maskedScore), near_ST);
  }
  const causal_ST = op.lessOrEqual(op.unsqueeze(columns_T, [0]), op.unsqueeze(rows_S, [1]));
  const seen = op.and(op.unsqueeze(op.greater(present_BT, zero), [1, 2]), op.unsqueeze(causal_ST, [0, 1]));
  return op.where(seen, 0, maskedScore);
}

/** What to do with an encoder-decoder, which is three graphs in ONNX. */
export const withoutOnnx = "export it as a Hugging Face directory (--format hf), from which Optimum makes its ONNX files";

/**
 * Saves a model as DIR/model.onnx with its config and tokenizer; see {@link writeModel}.
 *
 * @param from as of {@link saveModel}, and so is `base`
 * @returns the names of the model's own files
 */
export async function saveOnnx(
  directory: string,
  model: Model<Constants>,
  from?: string,
  maxBytes?: number,
  base?: string,
): Promise<string[]> {
  requireDecoder(model.config, from ?? directory, withoutOnnx);
  await saveCompanions(directory, model, from, base);
  return writeModel(directory, onnxGraph(model.config, model.params), maxBytes);
}
