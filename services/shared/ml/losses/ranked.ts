// Dimensions: R rows (completion tokens), K ranks, C = K + 1 with the rest last.
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";

/**
 * A distance between probabilities that are compared by rank: the teacher's largest with the student's largest, and so on.
 *
 * @param logp_RC teacher log-probabilities in falling order, then that of the rest; constants
 * @param logq_RC the student's own, differentiated through; no gradient goes through the order
 * @returns [R]
 */
export type RankDistance = (logp_RC: Value, logq_RC: Value) => Value;

/**
 * Universal logit distillation (Boizard et al. 2024, arXiv 2402.12030): Σ_r |p_(r) − q_(r)|, the least that Σ |p − q| can be, however the
 * classes of the two are paired. Between 0 and 2, without a unit. Gradient in the student's logits: q ∘ (s − Σ q s), where
 * s is the sign of q_(r) − p_(r) at each class's rank.
 */
export const uld: RankDistance = (logp, logq) => op.reduceSum(op.abs(op.sub(op.exp(logp), op.exp(logq))), [-1]);

/** Every distance between ranks, by the name that specs use. */
export const rankDistances = { uld } as const satisfies Record<string, RankDistance>;

/** The name of a distance in the table, as a run's objective writes it. */
export type RankDistanceName = keyof typeof rankDistances;

/** True for the name of a distance between ranks. */
export const isRankDistance = (name: string): name is RankDistanceName => Object.hasOwn(rankDistances, name);
