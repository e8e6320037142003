// Dimensions: B batch, T position, D width.
import { found } from "../../base/found.js";
import { isInFile } from "../graph/file-tensor.js";
import type { Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { factorSpecs } from "./adapter/layers.js";
import { architectureOf, inputsOf } from "./architectures/table.js";
import type { ModelConfig } from "./config/model-config.js";
import type { Constants } from "./constants.js";
import { type FusedDtype, FusedPass } from "./forward/fused-pass.js";
import { declareWeights, type GraphWeights, graphWeights } from "./graph-weights.js";
import { hiddenStates } from "./hidden-states.js";
import type { Lora } from "./lora.js";
import { paramSpecs } from "./model-params.js";

/** Why a model isn't computed by the runtime's fused operators, as the end of a sentence; undefined where it is. */
export function fusedObstacle(config: ModelConfig): string | undefined {
  const { experts, qkNorm, headDim } = config;
  if (architectureOf(config).encoder) return "encoder-decoders do not";
  if (experts) return "models of experts do not";
  if (qkNorm === "eachHead") return "models whose heads have norms of their own do not";
  return headDim % 8 === 0 ? undefined : `heads of ${headDim} do not, only multiples of 8`;
}

/** What a fused pass over whole texts is made of. */
export interface FusedForm {
  readonly config: ModelConfig;
  /** Constants of the graph: those that are held in the pass's element type are read as they lie, others converted at each run. */
  readonly weights: Constants;
  readonly dtype: FusedDtype;
  readonly lora?: Lora | undefined;
}

/**
 * The forward pass of whole texts, in one element type and in the runtime's fused operators: no array is as large as the tokens
 * squared. No gradient. Declares the inputs that the family's `SequenceInputs` lays texts out as; last int32 [B], the place of
 * each text's last token; total int32 [], T; and an adapter's factors in float32.
 *
 * @returns hidden states as the head reads them, [B, T, D], and the weights that they were computed with
 */
export function fusedStates(graph: Graph, form: FusedForm): { readonly hidden_BTD: Value; readonly weights: GraphWeights } {
  const { config, dtype, lora } = form;
  const { ids_BT, positions_BT } = inputsOf(config).declare(graph);
  const place = {
    positions: () => positions_BT,
    last_B: graph.input("last", "int32", ["B"]),
    total: graph.input("total", "int32", []),
  };
  const weights = weightsIn(graph, form);
  const pass = new FusedPass(config, weights, place, { lora, dtype });
  return { hidden_BTD: hiddenStates(pass, ids_BT), weights };
}

function weightsIn(graph: Graph, { config, weights, dtype, lora }: FusedForm): GraphWeights {
  const constants = paramSpecs(config).map(({ name }): [string, Value] => {
    const weight = found(weights.get(name), `weight ${name}`);
    return [name, op.cast(graph.initializer(name, weight, isInFile(weight) && weight.dtype === dtype), dtype)];
  });
  const factors = lora ? [...declareWeights(graph, factorSpecs(config, lora), "inputs")] : [];
  return graphWeights(new Map([...constants, ...factors.map(([name, value]): [string, Value] => [name, op.cast(value, dtype)])]), lora);
}
