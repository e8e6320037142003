import { recordExhausted } from "../../shared/flow/rollouts/exhausted.js";
import type { Work } from "../../shared/flow/runs/member-role.js";
import type { LearnerContext } from "../context/run-context.js";
import { leadRun } from "./lead-run.js";

/** Trains a run to its end, as a process's work. A stop hands the run back, with a checkpoint. */
export function trainRun(learner: Omit<LearnerContext, "stop">): Work {
  const { membership, log } = learner;
  const stopping = new AbortController();
  const stopRecording = recordExhausted(membership.streams, membership.runId, log);
  const done = leadRun({ ...learner, stop: stopping.signal });
  return {
    done,
    stop: async () => {
      stopRecording();
      stopping.abort();
      // What it failed with is told by `done`.
      await done.catch(() => {});
    },
  };
}
