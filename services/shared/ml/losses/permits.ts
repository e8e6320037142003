import type { SignalKind } from "../signals/score.js";
import type { DivergenceName } from "./divergences.js";

/** Everything that an objective may minimise beside a reward. */
export type ObjectiveName = DivergenceName | "cross_entropy" | "opd";

type Row = { readonly [Kind in SignalKind]: boolean };

/** Needs a distribution: all of it, or k classes and the rest. */
const distribution: Row = { full: true, hidden: true, random_k: false, sampled: false, student_top_k: true, top_k: true };
/** Needs the log-probability of the given token. */
const token: Row = { ...distribution, sampled: true };
/** Asks no teacher. */
const none: Row = { ...token, random_k: true };

/** Which teacher signal can give what: objective × signal. */
export const permits: { readonly [Name in ObjectiveName]: Row } = {
  adaptive_kl: distribution,
  cross_entropy: none,
  entropy_aware: distribution,
  // The draws give an unbiased estimate of the cross-entropy, which is linear in the teacher's distribution.
  forward_kl: { ...distribution, random_k: true },
  jsd: distribution,
  mix: distribution,
  opd: token,
  reverse_kl: distribution,
  skew_kl: distribution,
  skew_reverse_kl: distribution,
  tvd: distribution,
};

const kinds = Object.keys(distribution) as SignalKind[];

/**
 * Why an objective cannot be had from a signal and what can be done, or undefined if it can.
 *
 * @param klBaseline `opd` with the exact baseline, which needs a distribution
 */
export function refusal(objective: ObjectiveName, signal: SignalKind, klBaseline: boolean): string | undefined {
  const baseline = objective === "opd" && klBaseline;
  const row = baseline ? distribution : permits[objective];
  if (row[signal]) return undefined;
  const signals = kinds.filter((kind) => row[kind]).join(", ");
  const others = (Object.keys(permits) as ObjectiveName[]).filter((name) => name !== "cross_entropy" && permits[name][signal]);
  const what = baseline ? "opd with klBaseline" : objective;
  return `is ${signal}, which cannot give ${what}; use one of ${signals}, or a divergence that ${signal} gives: ${others.join(", ")}`;
}
