import { generator } from "../../services/shared/base/random.js";

/** The roles of a run. */
export const roleNames = ["learner", "reward", "student", "teacher"] as const;
export type Role = (typeof roleNames)[number];

/** Whom a fault strikes: a role's processes, or what they all need. */
export type Victim = Role | "controller" | "nats" | "everyone";

/** What happens to the victim. */
export type Deed = "kill" | "down" | "freeze" | "lose" | "delay" | "cut" | "fill";

/** One fault of a schedule. */
export interface Fault {
  readonly deed: Deed;
  readonly victim: Victim;
  /** Steps that must be finished since the fault before it is over; 0 to strike while that one still lasts. */
  readonly afterSteps: number;
  /** And then so many milliseconds, so that every part of a step is struck. */
  readonly delayMs: number;
  /** How long it lasts; 0 for what is over at once. */
  readonly holdMs: number;
}

/** Every fault that there is, and how long it lasts in milliseconds: from, to. A worker's freeze outlasts the ack wait. */
export const faultKinds: readonly (readonly [deed: Deed, victim: Victim, from: number, to: number])[] = [
  ["kill", "student", 0, 0],
  ["kill", "teacher", 0, 0],
  ["kill", "reward", 0, 0],
  ["kill", "learner", 0, 0],
  ["kill", "controller", 0, 0],
  ["kill", "nats", 0, 0],
  ["down", "nats", 10_000, 40_000],
  ["freeze", "student", 16_000, 19_000],
  ["freeze", "teacher", 16_000, 19_000],
  ["freeze", "reward", 16_000, 19_000],
  ["freeze", "learner", 4000, 17_000],
  ["freeze", "controller", 3000, 12_000],
  ["freeze", "nats", 2000, 14_000],
  ["lose", "controller", 3000, 9000],
  ["lose", "student", 3000, 9000],
  ["lose", "teacher", 3000, 9000],
  ["lose", "reward", 3000, 9000],
  ["lose", "learner", 3000, 9000],
  ["lose", "everyone", 3000, 9000],
  ["delay", "everyone", 4000, 8000],
  ["delay", "learner", 4000, 8000],
  ["cut", "everyone", 0, 0],
  ["cut", "student", 0, 0],
  ["fill", "everyone", 3000, 8000],
];

/** What a schedule may hold. */
export interface ScheduleOptions {
  readonly seed: bigint;
  readonly count: number;
  /** Faults of the table that cannot be done here. */
  readonly without?: readonly Deed[];
}

/** The name of a kind of fault, such as "kill learner". */
export const kindOf = ({ deed, victim }: Pick<Fault, "deed" | "victim">): string => (deed === "fill" ? "full disk" : `${deed} ${victim}`);

/**
 * The faults of a seed: every kind comes before any comes again, in an order of the seed's; one in five strikes while the
 * one before it lasts.
 */
export function schedule({ seed, count, without = [] }: ScheduleOptions): Fault[] {
  const next = generator(seed);
  const below = (n: number) => Math.floor((next() / 2 ** 32) * n);
  const kinds = faultKinds.filter(([deed]) => !without.includes(deed));
  const faults: Fault[] = [];
  let bag: (typeof faultKinds)[number][] = [];
  while (faults.length < count) {
    if (bag.length === 0) bag = [...kinds];
    const [deed, victim, from, to] = bag.splice(below(bag.length), 1)[0]!;
    const together = faults.length > 0 && below(5) === 0;
    faults.push({
      deed,
      victim,
      afterSteps: together ? 0 : 1 + below(3),
      delayMs: below(together ? 2500 : 700),
      holdMs: from + below(to - from + 1),
    });
  }
  return faults;
}

const striking = (deed: Deed, victim: Victim, afterSteps: number, holdMs = 0): Fault => ({
  deed,
  victim,
  afterSteps,
  delayMs: 150,
  holdMs,
});

/** A few faults of different kinds in a minute: the workers die together, since each costs the same wait. */
export const shortSchedule: readonly Fault[] = [
  striking("kill", "student", 2),
  striking("kill", "teacher", 0),
  striking("kill", "reward", 0),
  striking("kill", "learner", 2),
  striking("kill", "nats", 2),
  striking("lose", "everyone", 1, 2500),
  striking("freeze", "learner", 1, 2500),
  striking("fill", "everyone", 2, 1500),
  striking("kill", "controller", 2),
];

/** One or two faults within the first milliseconds of a run: its beginning, its few steps and its end alike. */
export function briefSchedule(seed: bigint, withinMs: number, without: readonly Deed[]): Fault[] {
  const next = generator(seed);
  const share = () => next() / 2 ** 32;
  const kinds = faultKinds.filter(([deed]) => !without.includes(deed));
  const count = share() < 0.3 ? 2 : 1;
  const times = Array.from({ length: count }, () => share() * withinMs).sort((a, b) => a - b);
  return times.map((at, i) => {
    const [deed, victim, from] = kinds[Math.floor(share() * kinds.length)]!;
    return { deed, victim, afterSteps: 0, delayMs: Math.round(at - (times[i - 1] ?? 0)), holdMs: Math.min(from, 5000) };
  });
}
