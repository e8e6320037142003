import type { CheckedRun, SpecWarning } from "./checked-run.js";
import { savingsOf } from "./memory-savings.js";
import { memoryOf, sharedBytes } from "./role-memory.js";

/** Ways out that a warning names; `retort plan` shows all. */
const mostWays = 3;

/**
 * Warns of a run that this machine's memory isn't expected to hold; of none in a cluster, where each role has a machine's share.
 *
 * @param machine bytes of memory; undefined where the roles run elsewhere
 */
export function memoryWarnings(checked: CheckedRun, machine: number | undefined): SpecWarning[] {
  const roles = memoryOf(checked);
  const total = sharedBytes(roles);
  if (machine === undefined || total <= machine) return [];
  const each = roles.map(
    ({ name, processes, bytes }) => `${name} ${inGiB(bytes)}${processes > 1 ? ` in each of ${processes} processes` : ""}`,
  );
  const ways = savingsOf(checked)
    .slice(0, mostWays)
    .map(({ field, value, bytes }) => `${field}: ${value} takes ${inGiB(bytes)} less`);
  const message = `are expected to hold ${inGiB(total)} of memory (${each.join(", ")}), and this machine has ${inGiB(machine)}: ${ways.join(", ") || "take smaller models, or a larger machine"}`;
  return [{ field: "roles", message }];
}

const inGiB = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
