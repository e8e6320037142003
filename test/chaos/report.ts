import { textTable } from "../../services/cli/terminal/text-table.js";
import { type Fault, kindOf } from "./schedule.js";
import type { RunWatch } from "./watch.js";

/** A fault that was done, and what it cost. */
export interface Struck {
  readonly fault: Fault;
  /** Newest finished step when it struck. */
  readonly step: number;
  /** Seconds from its beginning to the first new step after its end. */
  readonly seconds: number;
  /** Those that the run's undisturbed pace would not have taken. */
  readonly lost: number;
}

/** What a fault cost that began and ended then, once a new step is finished after it. */
export function costOf(fault: Fault, step: number, began: number, ended: number, watch: RunWatch, paceMs: number): Struck {
  const next = watch.finished.find(({ at }) => at > ended) ?? { step: watch.step, at: performance.now() };
  const seconds = (next.at - began) / 1000;
  return { fault, step, seconds, lost: Math.max(0, seconds - ((next.step - step) * paceMs) / 1000) };
}

/** One line of a fault, as it is printed while the run goes on. */
export const lineOf = ({ fault, step, seconds, lost }: Struck, number: number): string =>
  `${String(number).padStart(3)}  ${kindOf(fault).padEnd(18)} at step ${String(step).padStart(4)}` +
  `${fault.holdMs ? ` for ${(fault.holdMs / 1000).toFixed(1).padStart(4)} s` : "           "}` +
  `  next step after ${seconds.toFixed(1).padStart(5)} s, ${lost.toFixed(1).padStart(5)} s lost${fault.afterSteps ? "" : "  (during the one before)"}`;

/** The faults by kind: how many, and the seconds lost over each. */
export function faultTable(struck: readonly Struck[]): string {
  const kinds = [...new Set(struck.map(({ fault }) => kindOf(fault)))].sort();
  const rows = kinds.map((kind) => {
    const own = struck.filter(({ fault }) => kindOf(fault) === kind);
    const lost = own.map((one) => one.lost).sort((a, b) => a - b);
    const holds = own.map(({ fault }) => fault.holdMs / 1000).sort((a, b) => a - b);
    const lasts = holds.at(-1)! > 0 ? `${holds[0]!.toFixed(0)} to ${holds.at(-1)!.toFixed(0)}` : "";
    return [kind, String(own.length), lasts, lost[lost.length >> 1]!.toFixed(1), lost.at(-1)!.toFixed(1)];
  });
  return textTable(["fault", "times", "lasts s", "lost s, median", "worst"], rows, process.stdout);
}
