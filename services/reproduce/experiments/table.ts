import type { Experiment } from "../plan/experiment.js";
import { baselinesExperiment } from "./baselines.js";
import { controlsExperiment } from "./controls.js";
import { dataEfficiencyExperiment } from "./data-efficiency.js";
import { divergencesExperiment } from "./divergences.js";
import { lambdaExperiment } from "./lambda.js";
import { mathematicsExperiment } from "./mathematics.js";
import { multiTeacherExperiment } from "./multi-teacher.js";
import { offVsOnPolicyExperiment } from "./off-vs-on-policy.js";
import { rlExperiment } from "./rl.js";
import { stalenessExperiment } from "./staleness.js";
import { summarisationExperiment } from "./summarisation.js";
import { taskAgnosticExperiment } from "./task-agnostic.js";
import { tokensExperiment } from "./tokens.js";
import { turnsExperiment } from "./turns.js";

/** The paper's experiments by name. */
export const experiments: Readonly<Record<string, Experiment>> = Object.fromEntries(
  [
    baselinesExperiment,
    controlsExperiment,
    dataEfficiencyExperiment,
    divergencesExperiment,
    lambdaExperiment,
    mathematicsExperiment,
    multiTeacherExperiment,
    offVsOnPolicyExperiment,
    rlExperiment,
    stalenessExperiment,
    summarisationExperiment,
    taskAgnosticExperiment,
    tokensExperiment,
    turnsExperiment,
  ].map((experiment) => [experiment.name, experiment]),
);
