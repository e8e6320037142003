import { followedVersion, isStillFollowed } from "../../shared/flow/runs/follow.js";
import type { ResolvedRun } from "../../shared/flow/runs/resolve.js";

type Bounds = Pick<ResolvedRun, "follow" | "maxStaleness">;

/** The newest version that no student may use any more, when this one is announced. */
const newestGone = ({ maxStaleness }: Bounds, version: number): number => version - maxStaleness - 1;

/** No student or teacher may still ask for a version, when `announced` is. Version 0 stays: config and tokenizer come with it. */
const isGone = (run: Bounds, version: number, announced: number): boolean =>
  version > 0 && version <= newestGone(run, announced) && !isStillFollowed(run, version, announced + 1);

/** Versions that no one may ask for any more since this one is announced, and could until then. */
export function goneWith(run: Bounds, version: number): number[] {
  const { follow, maxStaleness } = run;
  const followed = follow ? [followedVersion(follow, { step: version, maxStaleness, fromStep: 0 })] : [];
  return [...new Set([...followed, newestGone(run, version)])].filter((one) => isGone(run, one, version));
}

/** Of stored versions, those that no one asks for when a learner that takes a run over has announced this one. */
export const goneAmong = (run: Bounds, version: number, stored: readonly number[]): number[] =>
  stored.filter((one) => one > version || isGone(run, one, version));
