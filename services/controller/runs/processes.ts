import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { isApiError, type Streams } from "../../shared/base/streams/connection.js";
import type { ProcessHistory } from "../../shared/flow/history/process-history.js";
import type { RunHistory } from "../../shared/flow/history/run-history.js";
import { teacherName } from "../../shared/flow/runs/resolve.js";
import { durables, streamNames } from "../../shared/flow/streams.js";
import type {
  ProcessStateSchema,
  QueueStateSchema,
  ReadProcessesResponseSchema,
  StepPaceSchema,
} from "../../shared/gen/retort/v1/controller_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";

/** A run as it goes just now: what its events say of processes and steps, and what NATS says of its queues. */
export async function processesOf(
  streams: Streams,
  run: Run,
  history: RunHistory,
): Promise<MessageInitShape<typeof ReadProcessesResponseSchema>> {
  const begun = history.startedMs ?? 0;
  return {
    processes: [...history.processes.values()].map((process) => stateOf(process, begun)),
    queues: await queuesOf(streams, run),
    ...paceOf(history),
  };
}

function stateOf(process: ProcessHistory, begunMs: number): MessageInitShape<typeof ProcessStateSchema> {
  const { role, teacher, instance, current, latest, lastSeconds } = process;
  const at = (seconds: number) => timestampFromMs(begunMs + 1000 * seconds);
  const name = { role, teacher, instance };
  return {
    process: name,
    heard: at(lastSeconds),
    ...(latest ? { figures: latest } : {}),
    ...(current
      ? {
          since: at(current.from),
          activity: {
            process: name,
            work: current.work,
            message: current.message,
            step: current.step,
            done: BigInt(current.done),
            total: BigInt(current.total),
          },
        }
      : {}),
  };
}

/** Steps over which a pace is told: single ones jump where the next ones are under way beside them. */
const paceSteps = 20;

/** Figures of the last finished steps. */
function paceOf({ figures, step }: RunHistory): { readonly pace?: MessageInitShape<typeof StepPaceSchema> } {
  if (step === 0) return {};
  // What a step doesn't say is no number.
  const last = (name: string) => [...(figures.get(name)?.values.slice(-paceSteps) ?? [])].map((value) => value || 0);
  const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
  const mean = (values: readonly number[]) => (values.length ? sum(values) / values.length : 0);
  const seconds = sum(last("seconds"));
  return {
    pace: {
      step,
      seconds: mean(last("seconds")),
      tokensPerSecond: seconds > 0 ? sum(last("completionTokens")) / seconds : 0,
      stalenessMean: mean(last("stalenessMean")),
      stalenessMax: Math.max(0, ...last("stalenessMax")),
      tasksInFlight: last("tasksInFlight").at(-1) ?? 0,
    },
  };
}

/** The queues of a run, in the order of the flow. */
async function queuesOf(streams: Streams, { runId, spec }: Run): Promise<MessageInitShape<typeof QueueStateSchema>[]> {
  const teachers = spec?.teachers.map(({ name }) => teacherName(name)) ?? [];
  const all = [
    { role: "student", teacher: "", stream: streamNames.prompts, durable: durables.student(runId) },
    ...teachers.map((teacher) => ({ role: "writer", teacher, stream: streamNames.prompts, durable: durables.writer(runId, teacher) })),
    ...teachers.map((teacher) => ({ role: "teacher", teacher, stream: streamNames.rollouts, durable: durables.teacher(runId, teacher) })),
    { role: "reward", teacher: "", stream: streamNames.rollouts, durable: durables.reward(runId) },
  ];
  const states = await Promise.all(
    all.map(async ({ role, teacher, stream, durable }) => {
      const info = await streams.manager.consumers.info(stream, durable).catch((error: unknown) => {
        // Not every run has every queue, and one that is over has none.
        if (isApiError(error, "consumerNotFound") || isApiError(error, "streamNotFound")) return undefined;
        throw error;
      });
      if (!info) return undefined;
      return {
        role,
        teacher,
        waiting: BigInt(info.num_pending),
        inHand: BigInt(info.num_ack_pending),
        redelivered: BigInt(info.num_redelivered),
      };
    }),
  );
  return states.flatMap((state) => state ?? []);
}
