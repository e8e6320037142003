import { descending } from "../plan/contrasts.js";
import type { Arm, Figure, Grid, Ordering } from "../plan/experiment.js";
import { type Divergence, divergenceNames, gkd, gkdName } from "../plan/objectives.js";

const lambdas = [0, 0.5, 1];
const quickNames: readonly Divergence[] = ["FKL", "JSD 0.5", "RKL"];

/** Every lambda with every divergence. */
export const lambdaArms: readonly Arm[] = lambdas.flatMap((lambda) =>
  divergenceNames.map((name) => gkd(name, lambda, { quick: lambda !== 0.5 && quickNames.includes(name) })),
);

/** The table lambda × divergence of a measure. */
export const lambdaGrid = (title: string, measure: string): Grid => ({
  title,
  measure,
  format: "percent",
  rows: ["λ=1", "λ=0.5", "λ=0"],
  columns: divergenceNames,
  arm: (row: string, column: string) => `${column}, ${row}`,
});

/** O1: for every divergence, on-policy > mixed > supervised. */
export const onPolicyFirst: Ordering = {
  id: "O1",
  says: "on-policy > mixed > supervised for every divergence, greedy",
  contrasts: divergenceNames.flatMap((name) => descending([gkdName(name, 1), gkdName(name, 0.5), gkdName(name, 0)], "greedy")),
};

/** A measure as bars, a group for each divergence. */
export const byLambda = (measure: string, label: string, name: string): Figure => ({
  name,
  title: `${label} by λ and divergence`,
  kind: "bars",
  x: "",
  y: label,
  percent: true,
  ordered: true,
  series: lambdas.map((lambda) => ({
    name: `λ=${lambda}`,
    points: divergenceNames.map((divergence) => ({ arm: gkdName(divergence, lambda), x: divergence, y: measure })),
  })),
});
