import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../../shared/base/errors.js";
import type { Streams } from "../../shared/base/streams/connection.js";
import { isOver, type RunStore } from "../../shared/flow/runs/run-store.js";
import { streamNames } from "../../shared/flow/streams.js";
import { RunState } from "../../shared/gen/retort/v1/run_pb.js";

/** The messages of one role of a run. */
export interface Queue {
  readonly run: string;
  readonly role: string;
  /** Empty for any other role than a teacher. */
  readonly teacher: string;
  readonly stream: string;
  /** Messages that nobody has taken yet, and those that somebody is at. */
  readonly waiting: number;
  readonly inHand: number;
}

/** A stream, and how much it may hold. */
export interface StreamSize {
  readonly stream: string;
  readonly bytes: number;
  readonly limitBytes: number;
}

/** What there is in NATS at one moment. */
export interface Look {
  /** The runs that have queues, and are not over, with their states in lower case. */
  readonly runs: ReadonlyMap<string, string>;
  readonly queues: readonly Queue[];
  readonly streams: readonly StreamSize[];
  /** Bytes of all streams and buckets, weights among them. */
  readonly storedBytes: number;
}

/** Roles by the first word of their durable consumers (flow/streams.ts). */
const roles: Readonly<Record<string, string>> = { reward: "reward", student: "student", teacher: "teacher", writer: "teacher" };

/**
 * Looks at the queues of runs and at the streams. What it costs follows from the runs that are going: a run has consumers as
 * long as it is not over.
 *
 * @throws Unavailable if NATS doesn't answer in time
 */
export async function look(streams: Streams, runs: Pick<RunStore, "find">, timeoutMs = 5000): Promise<Look> {
  const late = sleep(timeoutMs, undefined, { ref: false }).then(() => {
    throw new RetortError("Unavailable", `NATS did not tell of its streams within ${timeoutMs} ms`);
  });
  return Promise.race([streams.live(() => lookNow(streams, runs), timeoutMs), late]);
}

async function lookNow(streams: Streams, runs: Pick<RunStore, "find">): Promise<Look> {
  const queues = (await Promise.all([streamNames.prompts, streamNames.rollouts].map((stream) => queuesOf(streams, stream)))).flat();
  const states = new Map<string, string>();
  for (const runId of new Set(queues.map(({ run }) => run))) {
    const run = await runs.find(runId);
    if (run && !isOver(run.state)) states.set(runId, RunState[run.state].toLowerCase());
  }
  const sizes = await Promise.all(
    Object.values(streamNames).map(async (stream): Promise<StreamSize> => {
      const { state, config } = await streams.manager.streams.info(stream);
      return { stream, bytes: state.bytes, limitBytes: config.max_bytes };
    }),
  );
  const { storage } = await streams.manager.getAccountInfo();
  return { runs: states, queues: queues.filter(({ run }) => states.has(run)), streams: sizes, storedBytes: storage };
}

async function queuesOf(streams: Streams, stream: string): Promise<Queue[]> {
  const found: Queue[] = [];
  for await (const { name, config, num_pending, num_ack_pending } of streams.manager.consumers.list(stream)) {
    const role = roles[name.split("-")[0] ?? ""];
    // retort.prompts.<run>.<sampler>.> and retort.rollouts.<run>.<teacher>.>
    const [, , run, who = ""] = config.filter_subject?.split(".") ?? [];
    if (!role || !run) continue;
    const teacher = role === "teacher" ? who.replace(/^teacher-/, "") : "";
    found.push({ run, role, teacher, stream, waiting: num_pending, inHand: num_ack_pending });
  }
  return found;
}
