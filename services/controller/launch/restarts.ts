import { constants } from "node:os";
import { askedToLeave, hopelessExits } from "./launcher.js";

/** How often a process that ends is started again. */
export interface RestartLimits {
  /** Crashes within the window after which it is not; ten times as often if it was killed. */
  readonly maxRestarts: number;
  readonly windowMs: number;
}

/**
 * Why a process ended. `asked`: it was asked to leave. `hopeless`: its input is bad. `killed`: from outside, as for want of
 * memory. `away`: something that it needs was not there. `crashed`: anything else.
 */
export type Cause = "asked" | "hopeless" | "killed" | "away" | "crashed";

/** What follows from an end. */
export interface Verdict {
  /** Whether the process is started again. */
  readonly restart: boolean;
  readonly cause: Cause;
  /** Ends of this cause within the window, this one included. */
  readonly count: number;
  /** How long to wait before the start. */
  readonly delayMs: number;
  /** What a person should know now, if anything. */
  readonly warning?: string;
}

/** Time in which ends are counted, unless it is set. */
export const defaultWindowMs = 600_000;

/** Exit code of a process that a signal ended, as a shell has it. */
export const codeOfSignal = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/** Exit codes of errors that pass: what was needed is away (69), or was not there in time (75). */
export const away: readonly number[] = [69, 75];
/** Exit code of a process that was killed, be it for want of memory. */
export const killed = codeOfSignal("SIGKILL");
/** A terminal that was closed asks to leave, too. */
const hungUp = codeOfSignal("SIGHUP");

/** Killed processes are started again this many times as often as those that crash. */
const patience = 10;

/** The third end becomes a warning, and each whose number is twice the last one's. */
const isTold = (count: number): boolean => count >= 3 && Number.isInteger(Math.log2(count / 3));

/** Why a process with this exit code ended. */
export function causeOf(code: number): Cause {
  if (askedToLeave.includes(code) || code === hungUp) return "asked";
  if (hopelessExits.includes(code)) return "hopeless";
  if (code === killed) return "killed";
  return away.includes(code) ? "away" : "crashed";
}

/** A span of time in words. */
export function inWords(ms: number): string {
  const minutes = ms / 60_000;
  return minutes > 1 ? `${Math.round(minutes * 10) / 10} minutes` : `${Math.round(ms / 100) / 10} s`;
}

/**
 * The ends of one process (or of those that took its place), counted in a window. What it depends on may be away for as long
 * as it likes; a bad input ends it at once.
 */
export class Restarts {
  readonly #limits: RestartLimits;
  readonly #ends: Record<"killed" | "away" | "crashed", number[]> = { killed: [], away: [], crashed: [] };

  constructor(limits: RestartLimits) {
    this.#limits = limits;
  }

  /**
   * Records an end.
   *
   * @param at when, in milliseconds
   * @param count how many ends of this kind there were since the last that was recorded
   */
  note(code: number, at: number, count = 1): Verdict {
    const cause = causeOf(code);
    if (cause === "hopeless") return { restart: false, cause, count, delayMs: 0 };
    if (cause === "asked") return { restart: true, cause, count: 0, delayMs: 250 };
    const { maxRestarts, windowMs } = this.#limits;
    const all = [...this.#ends[cause], ...Array.from({ length: count }, () => at)];
    // Ends may come to be known in another order than they happened.
    const newest = all.reduce((a, b) => Math.max(a, b), at);
    const ends = all.filter((end) => end > newest - windowMs);
    this.#ends[cause] = ends;
    const allowed = { crashed: maxRestarts, killed: patience * maxRestarts, away: Number.POSITIVE_INFINITY }[cause];
    const delayMs = Math.min(cause === "away" ? 30_000 : 10_000, 250 * 2 ** Math.min(ends.length, 16));
    const told = cause !== "crashed" && isTold(ends.length);
    return {
      restart: ends.length <= allowed,
      cause,
      count: ends.length,
      delayMs,
      ...(told ? { warning: this.sentence(cause, ends.length) } : {}),
    };
  }

  /** What a number of ends means, for people. */
  sentence(cause: Cause, count: number): string {
    const often = `${count} times in ${inWords(this.#limits.windowMs)}`;
    if (cause === "killed") return `was killed ${often}; out of memory?`;
    return cause === "away" ? `ended ${often} because something that it needs is away` : `crashed ${often}`;
  }
}
