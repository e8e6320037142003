import { aborted } from "../shared/base/aborted.js";
import { deferred } from "../shared/base/deferred.js";
import { RetortError } from "../shared/base/errors.js";
import type { Service } from "../shared/base/lifecycle.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import type { Implementation } from "../shared/base/rpc/handlers.js";
import { isDenied, Streams, streamsOptions } from "../shared/base/streams/connection.js";
import { announceModel } from "../shared/flow/runs/events.js";
import { joinRun, type Membership, registration } from "../shared/flow/runs/membership.js";
import { type PoolMember, TeacherPools } from "../shared/flow/runs/teacher-pools.js";
import { Work } from "../shared/gen/retort/v1/events_pb.js";
import type { openaiServer } from "../shared/openai/serve.js";
import type { TeacherModel } from "./backends/backend.js";
import type { TeacherSettings } from "./config.js";
import type { TeacherMeters } from "./meters.js";
import { Places } from "./places.js";
import { scoreRun, writeTexts } from "./run-work.js";

/** What a pool's process is made of, besides its runs. */
export interface PooledTeacher {
  readonly implementations: readonly Implementation[];
  /** What it serves besides gRPC, from when the model is open. */
  readonly server: ReturnType<typeof openaiServer>;
  readonly meters: TeacherMeters;
  /** Opens the model as a run's spec names it; every member of the pool names the same. */
  readonly open: (membership: Membership, teacher: string) => Promise<TeacherModel>;
  readonly close: () => Promise<void>;
  /** Settles when the model is lost. */
  readonly crashed: Promise<RetortError>;
}

/** How long a process that is asked to stop waits for NATS if it is away. */
const patienceMs = 5000;

/**
 * A teacher for several runs: it opens the model once, and scores for every run whose teacher the pool stands for. Each run has its own
 * place (connection, registration, consumers, bounded work in hand), and the model takes their calls in turn, so no run
 * waits for more than one message of each other. What goes wrong with one run's place is no other run's concern.
 */
export function pooledTeacher(context: RoleContext<TeacherSettings>, pool: string, parts: PooledTeacher): RoleParts {
  const { settings, log } = context;
  const finished = deferred<void>();
  const stopping = new AbortController();
  parts.crashed.then(finished.reject);
  let streams: Streams | undefined;
  let serving: Promise<void> | undefined;
  let places: Places | undefined;
  const model: Service = {
    name: "model",
    start: async () => {
      const name = `pool/${pool}/${settings.index ?? process.pid}`;
      streams = await Streams.connect(streamsOptions(settings, name, "teacher"));
      void streams.denied.then(finished.reject);
      const pools = await TeacherPools.open(streams);
      const first = await firstMember(pools, pool, stopping.signal);
      const opened = await openFor(first, context, parts);
      // What this process may not do for one run it may do for none.
      const failed = (error: unknown) => {
        if (isDenied(error)) finished.reject(error);
        throw error;
      };
      places = new Places((member, signal) => serve(member, opened, context, parts, signal).catch(failed), log);
      serving = follow(pools, pool, places, stopping.signal);
      serving.catch(finished.reject);
    },
    stop: async () => {
      await streams?.close();
      await parts.close();
    },
  };
  const members: Service = {
    name: "members",
    start: async () => places?.begin(),
    stop: async () => {
      stopping.abort();
      await serving?.catch(() => {});
      await places?.close();
    },
  };
  const onStop = () => {
    stopping.abort();
    streams?.hurry(patienceMs);
  };
  const { implementations, server } = parts;
  const before = server ? [model, server.service] : [model];
  return { before, ...(server && { ports: server.ports }), implementations, after: [members], finished: finished.promise, onStop };
}

/** A pool's first run; waits for one. @throws Cancelled if the process stops before */
async function firstMember(pools: TeacherPools, pool: string, signal: AbortSignal): Promise<PoolMember> {
  for await (const [member] of pools.watch(pool, signal)) if (member) return member;
  throw new RetortError("Cancelled", `the pool ${pool} was stopped before a run joined it`);
}

/** Opens the model, and tells the run that waits for it. */
async function openFor({ runId, teacher }: PoolMember, { settings }: RoleContext<TeacherSettings>, { open }: PooledTeacher) {
  const membership = await joinRun(runId, settings, "teacher", teacher);
  try {
    return await membership.process.during(Work.LOADING, "the model", () => open(membership, teacher));
  } finally {
    await leave(membership);
  }
}

async function leave({ process: reporter, streams }: Membership): Promise<void> {
  await reporter.close();
  await streams.close();
}

async function follow(pools: TeacherPools, pool: string, places: Places, signal: AbortSignal): Promise<void> {
  for await (const members of pools.watch(pool, signal)) places.update(members);
}

/** Works for one run until the signal. @throws what broke the work off */
async function serve(
  { runId, teacher }: PoolMember,
  model: TeacherModel,
  context: RoleContext<TeacherSettings>,
  { meters }: PooledTeacher,
  signal: AbortSignal,
): Promise<void> {
  const membership = await joinRun(runId, context.settings, "teacher", teacher);
  const registered = registration(context, () => membership);
  try {
    await announceModel(membership, ["teacher", teacher], model.description);
    await registered.start?.();
    const works = [await scoreRun(context, membership, teacher, model, meters), writeTexts(context, membership, teacher, model)];
    try {
      await Promise.race([aborted(signal), Promise.all(works.map(({ done }) => done))]);
    } finally {
      await Promise.all(works.map((work) => work.stop()));
    }
  } finally {
    await registered.stop?.();
    await leave(membership);
  }
}
