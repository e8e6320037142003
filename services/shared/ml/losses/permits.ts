import type { SignalForm } from "../signals/form.js";
import { type SignalKind, signalKinds, signals } from "../signals/table.js";
import type { DivergenceName } from "./divergences.js";
import { isRankDistance, type RankDistanceName } from "./ranked.js";

/** Everything that an objective may minimise beside a reward. */
export type ObjectiveName = DivergenceName | RankDistanceName | "constant_advantage" | "cross_entropy" | "opd";

/** What a signal's form gives to a loss. */
type Given = SignalForm["gives"];

/** Needs a distribution: all of it, or k classes and the rest. */
const distribution: readonly Given[] = ["distribution"];
/** Needs the log-probability of the given token. */
const token: readonly Given[] = ["distribution", "token"];
/** Asks no teacher. */
const none: readonly Given[] = ["distribution", "forwardKl", "token"];

/** What each objective can be had from; which kinds of signal those are, their forms say. */
export const permits: { readonly [Name in ObjectiveName]: readonly Given[] } = {
  adaptive_kl: distribution,
  constant_advantage: none,
  cross_entropy: none,
  entropy_aware: distribution,
  // Draws give an unbiased estimate of the cross-entropy, which is linear in the teacher's distribution.
  forward_kl: ["distribution", "forwardKl"],
  jsd: distribution,
  mix: distribution,
  opd: token,
  reverse_kl: distribution,
  skew_kl: distribution,
  skew_reverse_kl: distribution,
  tvd: distribution,
  uld: distribution,
};

/** True if an objective compares with a teacher. */
export const asksTeacher = (objective: ObjectiveName): boolean => permits[objective] !== none;

/** True if a kind of signal can give an objective. */
export function isPermitted(objective: ObjectiveName, signal: SignalKind): boolean {
  const { form } = signals[signal];
  if (isRankDistance(objective)) return form.gives === "distribution" && form.ranks !== undefined;
  return permits[objective].includes(form.gives);
}

/**
 * Why an objective cannot be had from a signal and what can be done, or undefined if it can.
 *
 * @param klBaseline `opd` with the exact baseline, which needs a distribution
 */
export function refusal(objective: ObjectiveName, signal: SignalKind, klBaseline: boolean): string | undefined {
  const baseline = objective === "opd" && klBaseline;
  const canGive = (kind: SignalKind) => (baseline ? distribution.includes(signals[kind].form.gives) : isPermitted(objective, kind));
  if (canGive(signal)) return undefined;
  const kinds = signalKinds.filter(canGive).join(", ");
  const others = (Object.keys(permits) as ObjectiveName[]).filter((name) => asksTeacher(name) && isPermitted(name, signal));
  const what = baseline ? "opd with klBaseline" : objective;
  return `is ${signal}, which cannot give ${what}; use one of ${kinds}, or a divergence that ${signal} gives: ${others.join(", ")}`;
}
