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
  const key = ({ group }: Rewarded) => (baseline === "group" ? group : "batch");
  for (const member of members) {
    const sum = sums.get(key(member)) ?? { total: 0, count: 0 };
    sums.set(key(member), { total: sum.total + member.reward, count: sum.count + 1 });
  }
  return members.map((member) => {
    const { total, count } = sums.get(key(member))!;
    return member.reward - total / count;
  });
}
