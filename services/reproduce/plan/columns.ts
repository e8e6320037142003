import type { Column } from "./experiment.js";

/** Accuracy in the columns of a table. */
export const accuracy: readonly Column[] = [
  { measure: "greedy", label: "greedy", format: "percent" },
  { measure: "sampled", label: "at temperature 1", format: "percent" },
  { measure: "gain", label: "gain, greedy", format: "percent" },
];
