import type { ObjectiveSettings } from "../../shared/flow/runs/resolve.js";

/** A sequence's reward, and the prompt it answers. */
export interface Rewarded {
  readonly group: string;
  readonly reward: number;
}

/** Reward less the mean of its group, of the batch, or nothing. */
export function advantagesOf(members: readonly Rewarded[], baseline: ObjectiveSettings["baseline"]): number[] {
  if (baseline === "none") return members.map(({ reward }) => reward);
  const sums = new Map<string, { total: number; count: number }>();
  const sumFor = ({ group }: Rewarded) => {
    const key = baseline === "group" ? group : "batch";
    const sum = sums.get(key) ?? { total: 0, count: 0 };
    sums.set(key, sum);
    return sum;
  };
  for (const member of members) {
    const sum = sumFor(member);
    sum.total += member.reward;
    sum.count++;
  }
  return members.map((member) => {
    const { total, count } = sumFor(member);
    return member.reward - total / count;
  });
}
