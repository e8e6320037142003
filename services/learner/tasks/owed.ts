import { Source } from "../../shared/gen/retort/v1/flow_pb.js";
import type { PlannedTask } from "./planned-task.js";
import type { TaskResults } from "./results-reader.js";

/** A task for which something is still waited for, with what has arrived. */
export interface OpenTask {
  readonly task: PlannedTask;
  readonly results: TaskResults;
}

/** Who writes the rollouts of a source. */
const writers: Readonly<Record<Source, string>> = {
  [Source.UNSPECIFIED]: "student",
  [Source.STUDENT]: "student",
  [Source.TEACHER]: "teacher",
  [Source.DATASET]: "learner",
};

/** How many results are missing, by who owes them: `student`, `teacher NAME`, `reward`. Nobody owes what needs a rollout before it is there. */
export function owed(open: readonly OpenTask[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const count = (who: string) => counts.set(who, (counts.get(who) ?? 0) + 1);
  for (const { task, results } of open) {
    const { rollout, score, reward } = results;
    if (!rollout) count(writers[task.source]);
    if (rollout?.teacher && !score) count(`teacher ${rollout.teacher}`);
    if (rollout?.rewarded && !reward) count("reward");
  }
  return counts;
}
