import type { Problem } from "../../shared/base/errors.js";
import type { MoreChecks } from "../../shared/flow/runs/check-spec.js";
import type { ResolvedRun } from "../../shared/flow/runs/resolve.js";
import { objectiveProblems } from "../../shared/ml/losses/objective.js";
import { taskProblems } from "../../shared/tasks/task-problems.js";

/** What a spec by itself can have wrong, and records alone do not know: its objectives, and the generated tasks that it names. */
export const specChecks: MoreChecks = (spec, run) => [...objectivesProblems(run), ...taskProblems(spec.rewards)];

/** What the losses refuse of a run's objectives. @param vocab size of the vocabulary, if it is known */
export const objectivesProblems = ({ phases }: ResolvedRun, vocab?: number): Problem[] =>
  phases.flatMap(({ objective }, i) =>
    objectiveProblems(objective, vocab).map(({ fieldPath, description }) => ({ fieldPath: `phases[${i}].${fieldPath}`, description })),
  );
