// Dimensions: B batch, T position, D width, H heads, G key/value heads, E head size, F feed-forward width, V vocabulary, R rows.
import type { Dim, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { ModelConfig } from "./config.js";
import { headName, type Params } from "./params.js";
import { rotaryTables } from "./rotary.js";

/** One layer's queries, keys and values, rotated. */
export interface AttentionInputs {
  readonly layer: number;
  /** [B, H, T, E] */
  readonly q: Value;
  /** [B, G, T, E] */
  readonly k: Value;
  /** [B, G, T, E] */
  readonly v: Value;
}

/** How queries meet keys: the caller's choice (plain and causal, or against a cache). Gives [B, H, T, E]. */
export type Attention = (inputs: AttentionInputs) => Value;

/**
 * The decoder from token ids to hidden states after the final norm: embedding, then per layer
 * x += O·attention(norm(x)); x += down·(silu(gate·n) ∘ up·n) with n = norm(x).
 *
 * @param ids_BT int32 or int64 token ids
 * @param positions_BT int64 rotary position of each token
 * @param tables rotary tables that every position has a row in; by default constants of config.maxPositions rows
 * @returns [B, T, D]
 */
export function hiddenStates(
  config: ModelConfig,
  params: Params,
  ids_BT: Value,
  positions_BT: Value,
  attention: Attention,
  tables: { readonly cos: Value; readonly sin: Value } = constantTables(config, params),
): Value {
  let x_BTD = op.gather(params.get("model.embed_tokens.weight")!, ids_BT);
  for (let layer = 0; layer < config.layers; layer++) {
    const weight = (name: string) => params.get(`model.layers.${layer}.${name}`);
    x_BTD = op.add(
      x_BTD,
      attend(config, layer, weight, norm(config, x_BTD, weight("input_layernorm.weight")!), positions_BT, tables, attention),
    );
    x_BTD = op.add(x_BTD, feedForward(weight, norm(config, x_BTD, weight("post_attention_layernorm.weight")!)));
  }
  return norm(config, x_BTD, params.get("model.norm.weight")!);
}

function constantTables(config: ModelConfig, params: Params): { cos: Value; sin: Value } {
  const { cos, sin } = rotaryTables(config);
  const root = params.get("model.embed_tokens.weight")!.graph;
  return { cos: root.constantNamed("rotary.cos", cos), sin: root.constantNamed("rotary.sin", sin) };
}

/** Hidden states to logits, with the head or the tied embedding: [R, D] -> [R, V]. */
export function logits(config: ModelConfig, params: Params, hidden_RD: Value): Value {
  return op.fusedMatMul(hidden_RD, params.get(headName(config))!, { transB: true });
}

type Weight = (name: string) => Value | undefined;

const norm = (config: ModelConfig, x: Value, scale: Value): Value => op.simplifiedLayerNormalization(x, scale, config.rmsNormEps)[0];

function linear(weight: Weight, name: string, x: Value): Value {
  const y = op.fusedMatMul(x, weight(`${name}.weight`)!, { transB: true });
  const bias = weight(`${name}.bias`);
  return bias ? op.add(y, bias) : y;
}

function attend(
  config: ModelConfig,
  layer: number,
  weight: Weight,
  x_BTD: Value,
  positions_BT: Value,
  tables: { cos: Value; sin: Value },
  attention: Attention,
): Value {
  const [batch, time] = x_BTD.shape as [Dim, Dim];
  const heads = (name: "q" | "k" | "v", count: number, normalise: boolean): Value => {
    let x_BTHE = op.reshape(linear(weight, `self_attn.${name}_proj`, x_BTD), [batch, time, count, config.headDim]);
    if (normalise) x_BTHE = norm(config, x_BTHE, weight(`self_attn.${name}_norm.weight`)!);
    return op.transpose(x_BTHE, [0, 2, 1, 3]);
  };
  const rotate = (x: Value) => op.rotaryEmbedding(x, positions_BT, tables.cos, tables.sin);
  const out_BHTE = attention({
    layer,
    q: rotate(heads("q", config.heads, config.qkNorm)),
    k: rotate(heads("k", config.kvHeads, config.qkNorm)),
    v: heads("v", config.kvHeads, false),
  });
  const joined_BTX = op.reshape(op.transpose(out_BHTE, [0, 2, 1, 3]), [batch, time, config.heads * config.headDim]);
  return linear(weight, "self_attn.o_proj", joined_BTX);
}

function feedForward(weight: Weight, x_BTD: Value): Value {
  const gate_BTF = op.quickGelu(linear(weight, "mlp.gate_proj", x_BTD));
  return linear(weight, "mlp.down_proj", op.mul(gate_BTF, linear(weight, "mlp.up_proj", x_BTD)));
}
