import { fromBinary } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import type { Streams } from "../shared/base/streams/connection.js";
import { follow } from "../shared/base/streams/read.js";
import { readRollout } from "../shared/flow/rollouts/publish-rollout.js";
import { streamNames } from "../shared/flow/streams.js";
import { parseResult, subjects } from "../shared/flow/subjects.js";
import { type Reward, RewardSchema, type Rollout, type TeacherScore, TeacherScoreSchema } from "../shared/gen/retort/v1/flow_pb.js";

/** What has arrived for one task. */
export interface TaskResults {
  rollout?: Rollout;
  score?: TeacherScore;
  reward?: Reward;
}

/** Reads a run's results as they are stored, and lets the learner wait for those of one step. */
export class ResultsReader {
  readonly #streams: Streams;
  readonly #runId: string;
  readonly #steps = new Map<string, Map<number, TaskResults>>();
  #changed: () => void = () => {};
  #failure: unknown;

  readonly #askMs: number;

  /** @param askMs how often a wait asks whether it is interrupted, besides at every arrival */
  constructor(streams: Streams, runId: string, askMs = 1000) {
    this.#streams = streams;
    this.#runId = runId;
    this.#askMs = askMs;
  }

  /** Reads until the signal; what a run left from an earlier life comes first. */
  async read(signal: AbortSignal): Promise<void> {
    try {
      for await (const { subject, data } of follow(this.#streams, streamNames.results, subjects.results(this.#runId), 0, signal)) {
        const { step, task, kind } = parseResult(subject);
        const tasks = this.#steps.get(step) ?? new Map<number, TaskResults>();
        this.#steps.set(step, tasks);
        const results = tasks.get(task) ?? {};
        tasks.set(task, results);
        if (kind === "rollout") results.rollout = readRollout(data);
        else if (kind === "score") results.score = fromBinary(TeacherScoreSchema, data);
        else results.reward = fromBinary(RewardSchema, data);
        this.#changed();
      }
    } catch (error) {
      this.#failure = error;
      this.#changed();
    }
  }

  /**
   * Waits until a step's tasks are complete.
   *
   * @param interrupted true ends the wait with undefined
   * @throws DeadlineExceeded that says what is missing
   */
  async wait(step: string, tasks: number, timeoutMs: number, interrupted: () => Promise<boolean>): Promise<TaskResults[] | undefined> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      if (this.#failure) throw RetortError.from(this.#failure);
      // From before the look: what arrives while `interrupted` is asked must wake this too.
      const arrival = this.#next();
      const found = Array.from({ length: tasks }, (_, task) => this.#steps.get(step)?.get(task) ?? {});
      if (found.every(isComplete)) return found;
      if (Date.now() > deadline)
        throw new RetortError("DeadlineExceeded", `step ${step}: waited ${timeoutMs} ms; ${missing(found)}`, { retry: "never" });
      if (await interrupted()) return undefined;
      await arrival;
    }
  }

  /** Lets go of a step's results. */
  forget(step: string): void {
    this.#steps.delete(step);
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#askMs).unref();
      this.#changed = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** True if nothing more will come for a task. */
function isComplete({ rollout, score, reward }: TaskResults): boolean {
  if (!rollout) return false;
  return (rollout.teacher === "" || score !== undefined) && (!rollout.rewarded || reward !== undefined);
}

function missing(found: readonly TaskResults[]): string {
  const count = (test: (results: TaskResults) => boolean) => found.filter(test).length;
  const parts = [
    [count(({ rollout }) => !rollout), "rollouts (are students running?)"],
    [count(({ rollout, score }) => Boolean(rollout?.teacher && !score)), "teacher scores (are teachers running?)"],
    [count(({ rollout, reward }) => Boolean(rollout?.rewarded && !reward)), "rewards (is the reward role running?)"],
  ] as const;
  return `missing of ${found.length} tasks: ${parts.flatMap(([n, what]) => (n ? [`${n} ${what}`] : [])).join(", ")}`;
}
