import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createLog } from "../../../services/shared/base/log.js";
import { deriveSeed } from "../../../services/shared/base/random.js";
import { type Consumption, consume } from "../../../services/shared/base/streams/consume.js";
import { toRecord } from "../../../services/shared/flow/arrays.js";
import { readRecord } from "../../../services/shared/flow/read-record.js";
import { publishScore } from "../../../services/shared/flow/results/publish-results.js";
import { sequencesDigest } from "../../../services/shared/flow/rollouts/digest.js";
import { publishRollout } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { failedSequence, rolloutOf, samplesOf, writtenSequence } from "../../../services/shared/flow/rollouts/sequences.js";
import { durables, streamNames } from "../../../services/shared/flow/streams.js";
import { membersOf } from "../../../services/shared/flow/together.js";
import {
  type ArraySchema,
  type PromptTask,
  PromptTaskSchema,
  type Rollout,
  type SignalSpecSchema,
  TeacherScoreSchema,
} from "../../../services/shared/gen/retort/v1/flow_pb.js";
import type { RunBench } from "./run-bench.js";

/** A teacher's score as plain data. */
export interface ScoreInit {
  readonly key: Rollout["key"];
  readonly teacher: string;
  readonly signal: MessageInitShape<typeof SignalSpecSchema> | undefined;
  readonly sequencesDigest: string;
  readonly scores: readonly {
    readonly failure?: string;
    readonly logprobs?: MessageInitShape<typeof ArraySchema>;
    readonly full?: MessageInitShape<typeof ArraySchema>;
  }[];
}

/** A task as the fakes saw it come. */
export interface SeenTask {
  readonly step: number;
  readonly task: number;
  readonly attempt: number;
  /** Rows of the dataset. */
  readonly rows: readonly number[];
  readonly minVersion: number;
  readonly maxVersion: number;
  /** The policy version that was announced when the task came. */
  readonly announced: number | undefined;
}

/** How the fakes behave. */
export interface Behaviour {
  /** Tasks that nobody answers. */
  readonly ignore?: (task: PromptTask) => boolean;
  /** Why a prompt of a task fails; empty if it does not. */
  readonly failure?: (task: PromptTask, prompt: number) => string;
  /** What the teacher makes of its honest score; undefined and it stays silent. */
  readonly score?: (score: ScoreInit, rollout: Rollout) => ScoreInit | undefined;
}

const vocab = 41;

/**
 * A student and a teacher that answer a learner's tasks at once, without models: completions are a function of the task's
 * seed, and the teacher finds all tokens equally probable.
 */
export class FakeWorkers {
  readonly seen: SeenTask[] = [];
  behaviour: Behaviour = {};
  readonly #bench: RunBench;
  readonly #consumption: Consumption;

  constructor(bench: RunBench, behaviour: Behaviour = {}) {
    this.#bench = bench;
    this.behaviour = behaviour;
    this.#consumption = consume(bench.streams, {
      stream: streamNames.prompts,
      durable: durables.student(bench.runId),
      concurrency: 4,
      log: createLog("fake", { level: "silent", format: "json" }),
      handler: async ({ data }) => {
        for (const task of membersOf(readRecord(PromptTaskSchema, data))) await this.#answer(task);
      },
    });
  }

  stop(): Promise<void> {
    return this.#consumption.stop();
  }

  async #answer(task: PromptTask): Promise<void> {
    const { runs, runId, streams } = this.#bench;
    const { step, task: number, attempt } = task.key!;
    this.seen.push({
      step,
      task: number,
      attempt,
      rows: task.prompts.map(({ index }) => index),
      minVersion: task.minPolicyVersion,
      maxVersion: task.maxPolicyVersion,
      announced: (await runs.policy(runId))?.version,
    });
    const { ignore, failure, score } = this.behaviour;
    if (ignore?.(task)) return;
    const sequences = samplesOf(task).map((sample) => {
      const reason = failure?.(task, sample.prompt);
      if (reason) return failedSequence(task, sample, reason);
      const ids = Int32Array.from({ length: 4 }, (_, i) => 3 + Number(deriveSeed(sample.seed, i) % 38n));
      const completion = { ids, logprobs: new Float32Array(4).fill(-Math.log(vocab)), text: "", finish: "length" as const };
      return writtenSequence(task, sample, completion, task.minPolicyVersion);
    });
    const rollout = rolloutOf(task, sequences, "fake", 0);
    await publishRollout(streams, rollout);
    const honest = scoreOf(rollout);
    const given = score ? score(honest, rollout) : honest;
    if (given) await publishScore(streams, create(TeacherScoreSchema, { ...given, scores: [...given.scores] }));
  }
}

function scoreOf({ key, sequences, signal, teacher }: Rollout): ScoreInit {
  const uniform = (size: number) => new Float32Array(size).fill(-Math.log(vocab));
  return {
    key,
    teacher,
    signal,
    sequencesDigest: sequencesDigest(sequences),
    scores: sequences.map(({ failure }) =>
      failure ? { failure } : { logprobs: toRecord(uniform(4)), full: toRecord(uniform(4 * vocab), [4, vocab]) },
    ),
  };
}
