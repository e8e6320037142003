import type { DescMessage, MessageValidType } from "@bufbuild/protobuf";
import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import type { Log } from "../../shared/base/log.js";
import type { Streams } from "../../shared/base/streams/connection.js";
import { follow } from "../../shared/base/streams/read.js";
import { readRecord } from "../../shared/flow/read-record.js";
import { streamNames } from "../../shared/flow/streams.js";
import { parseResult, type ResultKind, subjects } from "../../shared/flow/subjects.js";
import {
  type Reward,
  RewardSchema,
  type Rollout,
  RolloutSchema,
  type TeacherScore,
  TeacherScoreSchema,
} from "../../shared/gen/retort/v1/flow_pb.js";

/** What has arrived for one task. */
export interface TaskResults {
  rollout?: Rollout;
  score?: TeacherScore;
  reward?: Reward;
  /** Why one of them cannot be read: nothing more will come for the task, since the first result of a kind stays. */
  unreadable?: string;
}

/** A task's rollout, with the score and the reward that it asked for. */
export interface CompleteResults {
  readonly rollout: Rollout;
  readonly score?: TeacherScore;
  readonly reward?: Reward;
  readonly unreadable?: undefined;
}

/** Results of a task of which one cannot be read. */
export interface UnreadableResults {
  readonly unreadable: string;
}

/** Results of a task for which nothing more is waited for. */
export type SettledResults = CompleteResults | UnreadableResults;

/** How a wait for results goes. */
export interface WaitOptions {
  readonly timeoutMs: number;
  /** Asked at every arrival and once a second; true ends the wait. */
  readonly interrupted: () => Promise<boolean>;
  /** True for a task whose rollout can't be used, whatever else is still missing: nothing more is waited for. */
  readonly spoilt?: (rollout: Rollout, task: number) => boolean;
  /** Told what is missing after 30 seconds, and again each time the wait has doubled. */
  readonly waiting?: (missing: string, seconds: number) => void;
  /** Told at each look of the tasks that aren't settled, with what has arrived. */
  readonly open?: (tasks: readonly { readonly task: number; readonly results: TaskResults }[]) => void;
  /** Told of each arrival: how many tasks are settled, and what is missing of the others. */
  readonly progress?: (settled: number, tasks: number, missing: string) => void;
}

/** When a wait is first told of. */
const patienceMs = 30_000;

/** Reads the results of what one learner issued, as they are stored, and lets it wait for those of one step. */
export class ResultsReader {
  readonly #streams: Streams;
  readonly #runId: string;
  readonly #fence: number;
  readonly #log: Log;
  readonly #askMs: number;
  readonly #steps = new Map<string, Map<number, TaskResults>>();
  /** Steps whose results came too late: the last one that was trained, and what was measured. */
  #trainedTo = 0;
  readonly #measured = new Set<string>();
  #changed: () => void = () => {};
  #failure: unknown;

  /**
   * @param fence the learner's; results of another one's tasks are passed over
   * @param askMs how often a wait asks whether it is interrupted, in addition to every arrival
   */
  constructor(streams: Streams, runId: string, fence: bigint, log: Log, askMs = 1000) {
    this.#streams = streams;
    this.#runId = runId;
    this.#fence = Number(fence);
    this.#log = log;
    this.#askMs = askMs;
  }

  /** Reads until the signal; what is stored already comes first. */
  async read(signal: AbortSignal): Promise<void> {
    try {
      const stored = follow(this.#streams, streamNames.results, subjects.results(this.#runId), 0, signal);
      for await (const { subject, data } of stored) this.#take(subject, data);
    } catch (error) {
      this.#failure = error;
      this.#changed();
    }
  }

  #take(subject: string, data: Uint8Array): void {
    const parsed = parseResult(subject);
    if (!parsed) {
      this.#log.warn({ subject }, "a record under no result's subject is passed over");
      return;
    }
    const { fence, step, task, kind } = parsed;
    if ((fence !== undefined && fence !== this.#fence) || this.#isForgotten(step)) return;
    const tasks = this.#steps.get(step) ?? new Map<number, TaskResults>();
    this.#steps.set(step, tasks);
    const results = tasks.get(task) ?? {};
    tasks.set(task, results);
    try {
      add(results, kind, data);
    } catch (error) {
      results.unreadable ??= `its ${kind} cannot be read: ${RetortError.from(error).message}`;
      this.#log.error({ subject, err: error }, "a result that cannot be read");
    }
    this.#changed();
  }

  /**
   * Waits until the first `tasks` tasks of a step are complete.
   *
   * @returns undefined if it was interrupted
   * @throws DeadlineExceeded that says what is missing
   */
  async wait(
    step: string,
    tasks: number,
    { timeoutMs, interrupted, spoilt, waiting, open, progress }: WaitOptions,
  ): Promise<SettledResults[] | undefined> {
    const started = Date.now();
    let tellAfterMs = patienceMs;
    const isSettled = (results: TaskResults, task: number): results is SettledResults =>
      isComplete(results) ||
      results.unreadable !== undefined ||
      (results.rollout !== undefined && spoilt?.(results.rollout, task) === true);
    for (;;) {
      if (this.#failure) throw RetortError.from(this.#failure);
      // From before the look: what arrives while `interrupted` is asked must wake this too.
      const arrival = this.#next();
      const found = Array.from({ length: tasks }, (_, task) => this.#steps.get(step)?.get(task) ?? {});
      progress?.(
        found.filter(isSettled).length,
        tasks,
        missingParts(found)
          .map(({ n, what }) => counted(n, what))
          .join(", "),
      );
      open?.(found.flatMap((results, task) => (isSettled(results, task) ? [] : [{ task, results }])));
      if (found.every(isSettled)) return found;
      const waitedMs = Date.now() - started;
      if (waitedMs > timeoutMs)
        throw new RetortError("DeadlineExceeded", `step ${step}: waited ${timeoutMs} ms; ${missing(found)}`, { retry: "never" });
      if (waitedMs > tellAfterMs) {
        waiting?.(missing(found), waitedMs / 1000);
        tellAfterMs *= 2;
      }
      if (await interrupted()) return undefined;
      await arrival;
    }
  }

  /** Drops a step's results, and those that come late. */
  forget(step: string): void {
    this.#steps.delete(step);
    if (/^\d/.test(step)) this.#trainedTo = Math.max(this.#trainedTo, Number(step));
    else this.#measured.add(step);
  }

  #isForgotten(step: string): boolean {
    return /^\d/.test(step) ? Number(step) <= this.#trainedTo : this.#measured.has(step);
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

function add(results: TaskResults, kind: ResultKind, data: Uint8Array): void {
  const read = <D extends DescMessage>(descriptor: D): MessageValidType<D> => readRecord(descriptor, data);
  if (kind === "rollout") results.rollout = read(RolloutSchema);
  else if (kind === "score") results.score = read(TeacherScoreSchema);
  else results.reward = read(RewardSchema);
}

/** True if a task has its rollout, and all that this asked for. */
export function isComplete(results: TaskResults): results is CompleteResults {
  const { rollout, score, reward, unreadable } = results;
  if (unreadable !== undefined || !rollout) return false;
  return (rollout.teacher === "" || score !== undefined) && (!rollout.rewarded || reward !== undefined);
}

/** What isn't there yet, and the question that it raises. */
function missingParts(found: readonly TaskResults[]) {
  const count = (test: (results: TaskResults) => boolean) => found.filter((results) => !results.unreadable && test(results)).length;
  const parts = [
    { n: count(({ rollout }) => !rollout), what: "rollout", question: "are students running?" },
    {
      n: count(({ rollout, score }) => Boolean(rollout?.teacher && !score)),
      what: "teacher score",
      question: "are teachers running?",
    },
    {
      n: count(({ rollout, reward }) => Boolean(rollout?.rewarded && !reward)),
      what: "reward",
      question: "is the reward role running?",
    },
  ];
  return parts.filter(({ n }) => n > 0);
}

const missing = (found: readonly TaskResults[]): string =>
  `missing of ${counted(found.length, "task")}: ${missingParts(found)
    .map((part) => `${counted(part.n, part.what)} (${part.question})`)
    .join(", ")}`;
