// Dimensions: N tokens of all rows together, B rows, P tokens of the row that has most, G key/value heads, X heads per group,
// H = G·X heads, Q = X·P queries of a group, one head's tokens behind another's.
import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { int64 } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";

/** The tokens of a pass, which lie one behind another, and the rows that they belong to. */
export interface TokenRows {
  /** int64 [B, P]: which token is a row's t-th; where it has fewer, any. */
  readonly tokens_BP: Value;
  /** int64 [N, 1]: the row of each token. */
  readonly rows_N1: Value;
  /** int64 [N, 1]: which token of its row it is. */
  readonly places_N1: Value;
}

/** Where the vectors of heads lie, int64: those of tokens, token by token, as rows want them, and back. */
export interface TokenLayout {
  /** Among the queries of all tokens [N, H], or among their fused slots [N, G, X + 2]. */
  readonly queries_BGQ: Value;
  /** Among the keys of all tokens [N, G], or their slots. */
  readonly keys_BGP: Value;
  /** Among the values of all tokens [N, G], or their slots. */
  readonly values_BGP: Value;
  /** Among the results of all queries [B, G, Q]. */
  readonly outputs_NH: Value;
}

/**
 * Where the vectors of heads lie, for tokens of these rows.
 *
 * @param fused queries, keys and values lie group by group: X queries, a key, a value
 */
export function tokenLayout({ heads, kvHeads }: ModelConfig, { tokens_BP, rows_N1, places_N1 }: TokenRows, fused: boolean): TokenLayout {
  const { graph } = tokens_BP;
  const share = heads / kvHeads;
  const scale = (x: number) => graph.constant(int64([x], []));
  /** Of each token as many vectors as `groups` of `size`, of which these are wanted: [G, count]. */
  const inGroups = (size: number, first: number, count: number) =>
    Array.from({ length: kvHeads * count }, (_, i) => Math.floor(i / count) * size + first + (i % count));
  const [slots, first] = fused ? [share + 2, { q: 0, k: share, v: share + 1 }] : [undefined, { q: 0, k: 0, v: 0 }];
  const perToken = (size: number) => scale(kvHeads * size);
  const queries_G = graph.constant(int64(inGroups(slots ?? share, first.q, share), [1, kvHeads, share, 1]));
  const one = (at: number) => graph.constant(int64(inGroups(slots ?? 1, at, 1), [1, kvHeads, 1]));
  const queries_BGXP = op.add(op.mul(op.unsqueeze(tokens_BP, [1, 2]), perToken(slots ?? share)), queries_G);
  const keys_B1P = op.mul(op.unsqueeze(tokens_BP, [1]), perToken(slots ?? 1));
  const everyHead = graph.constant(int64(inGroups(share, 0, share), [1, heads]));
  const head_NH = op.add(op.mul(rows_N1, scale(heads)), everyHead);
  const time = tokens_BP.shape[1]!;
  const longest = op.squeeze(op.dimOf(tokens_BP, 1), [0]);
  const keys_BGP = op.add(keys_B1P, one(first.k));
  return {
    queries_BGQ: op.reshape(queries_BGXP, ["B", kvHeads, typeof time === "number" ? share * time : "Q"]),
    keys_BGP,
    // Where both are the same, one value: of two that add 0, the runtime would keep one and warn.
    values_BGP: fused ? op.add(keys_B1P, one(first.v)) : keys_BGP,
    outputs_NH: op.add(op.mul(head_NH, longest), places_N1),
  };
}
