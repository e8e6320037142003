// Dimensions: N tokens of all rows that a step reads, B rows, P tokens of the row that has most, S cached positions, U keys (all
// that is cached and these), X heads per group, Q = X·P queries of a group.
import type { Dim, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { int64 } from "../graph/tensor.js";
import { architectureOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { maskedScore } from "../models/forward/attention.js";
import { backwardBias } from "../models/forward/relative-bias.js";
import type { StepPlace } from "../models/forward/step-pass.js";
import { tokenLayout } from "../models/forward/token-layout.js";
import type { GraphWeights } from "../models/graph-weights.js";
import type { DecodeInputs } from "./decode-inputs.js";

/** What goes from one iteration of decoding to the next, beside the keys and values. */
export interface State {
  /** int64 [N, 1] */
  readonly tokens_N1: Value;
  /** int64 [N, 1]: place of each token in its row's text. */
  readonly positions_N1: Value;
  /** int64 [B]: which of the tokens is a row's last. */
  readonly last_B: Value;
  /** float32 [B, 1]: 1, or 0 once the row has ended. */
  readonly alive_B1: Value;
  /** float32 [B, Q, U]: 0 where a query sees a key, else the masked score. */
  readonly mask_BQU: Value;
  /** int64 [B, X, 1]: those of the queries that a row's last token has. */
  readonly lastQueries_BX1: Value;
  /** See `TokenLayout`. */
  readonly queries_BGQ: Value;
  readonly keys_BGP: Value;
  readonly values_BGP: Value;
  readonly outputs_NH: Value;
  /** int64: which token each query is of, and the place of each key in its row's text; where a layer looks at distances. */
  readonly tokenOfQuery_BQ?: Value;
  readonly keyPositions_BU?: Value;
}

/** Whether layers look at how far back a key lies. */
const seesDistances = (config: ModelConfig): boolean =>
  architectureOf(config).encoder !== undefined || config.layerKinds.some(({ window }) => window !== undefined);

/** The state before the first iteration: what a run is fed. */
export function firstState(config: ModelConfig, inputs: DecodeInputs, isFused: boolean): State {
  const { tokens_N1, positions_N1, rows, last_B, cached_B, far } = inputs;
  const { tokens_BP, places_N1 } = rows;
  const share = config.heads / config.kvHeads;
  const { graph } = tokens_BP;
  const batch = op.dimOf(tokens_BP, 0);
  const [longest, stored] = [op.dimOf(tokens_BP, 1), op.dimOf(far[0]!.k, 2)];
  const shares = graph.constant(int64([share]));
  const spread = (x: Value, last: Value, name: Dim) => op.expand(x, op.concat([batch, shares, longest, last], 0), ["B", share, "P", name]);
  const places_S = op.iota(stored, "S");
  const isCached_BS = op.less(op.unsqueeze(places_S, [0]), op.unsqueeze(cached_B, [1]));
  const places_P = op.iota(longest, "P");
  const isBefore_PP = op.lessOrEqual(op.unsqueeze(places_P, [0]), op.unsqueeze(places_P, [1]));
  const far_BXPS = spread(op.unsqueeze(op.where(isCached_BS, 0, maskedScore), [1, 2]), stored, "S");
  const own_BXPP = spread(op.where(isBefore_PP, 0, maskedScore), longest, "P");
  const queries = op.mul(shares, longest);
  const target = op.concat([batch, queries, op.add(stored, longest)], 0);
  const lastPlaces_B11 = op.unsqueeze(op.gather(places_N1, last_B), [1]);
  const heads = graph.constant(
    int64(
      Array.from({ length: share }, (_, x) => x),
      [1, share, 1],
    ),
  );
  const state = {
    tokens_N1,
    positions_N1,
    last_B,
    alive_B1: op.constantOfShape(op.concat([batch, graph.constant(int64([1]))], 0), ["B", 1], op.fillOf("float32", 1)),
    mask_BQU: op.reshape(op.concat([far_BXPS, own_BXPP], 3, "U"), ["B", "Q", "U"], target),
    lastQueries_BX1: op.add(op.mul(heads, longest), lastPlaces_B11),
    ...tokenLayout(config, rows, isFused),
  };
  if (!seesDistances(config)) return state;
  const tokens_BXP = op.expand(op.unsqueeze(tokens_BP, [1]), op.concat([batch, shares, longest], 0), ["B", share, "P"]);
  const far_BS = op.expand(op.unsqueeze(places_S, [0]), op.concat([batch, stored], 0), ["B", "S"]);
  const own_BP = op.squeeze(op.gather(positions_N1, tokens_BP), [2]);
  return {
    ...state,
    tokenOfQuery_BQ: op.reshape(tokens_BXP, ["B", "Q"]),
    keyPositions_BU: op.concat([far_BS, own_BP], 1, "U"),
  };
}

/** The state behind an iteration: every row has one token, that which it has drawn. */
export function nextState(
  config: ModelConfig,
  now: State,
  tokens_B1: Value,
  alive_B1: Value,
  { last_B }: DecodeInputs,
  isFused: boolean,
): State {
  const share = config.heads / config.kvHeads;
  const { graph } = last_B;
  const batch = op.dimOf(last_B, 0);
  const rows_B = op.iota(batch, "B");
  const rows_B1 = op.unsqueeze(rows_B, [1]);
  const none_B1 = op.mul(rows_B1, graph.constant(int64([0], [])));
  const zeros_BX1 = op.constantOfShape(op.concat([batch, graph.constant(int64([share, 1]))], 0), ["B", share, 1], op.fillOf("float32", 0));
  const heads = graph.constant(
    int64(
      Array.from({ length: share }, (_, x) => x),
      [1, share, 1],
    ),
  );
  const positions_B1 = op.add(op.gather(now.positions_N1, now.last_B), graph.constant(int64([1], [])));
  const state = {
    tokens_N1: tokens_B1,
    positions_N1: positions_B1,
    last_B: rows_B,
    alive_B1,
    // What a row's last token saw, and the one that it has drawn.
    mask_BQU: op.concat([op.gatherRows(now.mask_BQU, now.lastQueries_BX1), zeros_BX1], 2, "U+"),
    lastQueries_BX1: op.add(op.unsqueeze(none_B1, [1]), heads),
    ...tokenLayout(config, { tokens_BP: rows_B1, rows_N1: rows_B1, places_N1: none_B1 }, isFused),
  };
  if (!now.keyPositions_BU) return state;
  return {
    ...state,
    tokenOfQuery_BQ: op.expand(rows_B1, op.concat([batch, graph.constant(int64([share]))], 0), ["B", share]),
    keyPositions_BU: op.concat([now.keyPositions_BU, positions_B1], 1, "U+"),
  };
}

/** Where the tokens of an iteration stand. */
export function placeOf(config: ModelConfig, weights: GraphWeights, now: State): Omit<StepPlace, "far" | "near"> {
  const { positions_N1, queries_BGQ, keys_BGP, values_BGP, outputs_NH, tokenOfQuery_BQ, keyPositions_BU } = now;
  const mask_B1QU = op.unsqueeze(now.mask_BQU, [1]);
  const place = { positions_N1, layout: { queries_BGQ, keys_BGP, values_BGP, outputs_NH }, mask_BGQU: mask_B1QU };
  if (!tokenOfQuery_BQ || !keyPositions_BU) return place;
  // [B, Q, 1] less [B, 1, U].
  const distances_BQU = op.sub(op.gather(positions_N1, tokenOfQuery_BQ), op.unsqueeze(keyPositions_BU, [1]));
  const { encoder } = architectureOf(config);
  if (!encoder) return { ...place, distances_BQU };
  return { ...place, mask_BGQU: op.add(mask_B1QU, backwardBias(weights, encoder.decoderBias(config), distances_BQU)) };
}
