import { deferred } from "../../base/deferred.js";
import type { Service } from "../../base/lifecycle.js";
import type { Metrics } from "../../base/metrics.js";
import type { Serving } from "../../base/ready.js";
import type { RoleContext, RoleParts } from "../../base/role.js";
import type { Implementation } from "../../base/rpc/handlers.js";
import type { MemberSettings } from "../../base/settings.js";
import { Work as ProcessWork } from "../../gen/retort/v1/events_pb.js";
import { joinRun, type Membership, registration } from "./membership.js";
import type { ProcessReporter } from "./process-reporter.js";

/** Something that a process does for its run. */
export interface Work {
  /** Resolves when it is done by itself, or has been stopped; rejects when it has failed. */
  readonly done: Promise<void>;
  /** Stops taking in work, and finishes or hands back what is in hand. */
  stop(): Promise<void>;
}

/** Begins the work of a role, once its server serves. */
export type BeginWork = () => readonly Work[] | Promise<readonly Work[]>;

/** A role that serves a run, or stands alone and serves callers. */
export interface MemberRole {
  readonly implementations: readonly Implementation[];
  /** What it serves besides gRPC: starts when the model is open, and stops before that is closed. */
  readonly server?: { readonly service: Service; readonly ports: () => Partial<Serving> } | undefined;
  /** Opens what the role of a run works with, before its server starts. Returns what begins the work. */
  join(membership: Membership): Promise<BeginWork>;
  /** Opens what a role that stands alone works with. */
  alone(): Promise<void>;
  /** Closes it, after everything else has stopped; also while it is being opened. */
  close(): Promise<void>;
}

/** What a role is told of its process. */
export interface MemberProcess {
  /** Ends the process with an error, in order. */
  readonly fail: (error: unknown) => void;
  /** Aborted right before {@link MemberRole.close}. */
  readonly closing: AbortSignal;
}

/** How much of its time a process works. */
function meterWork(metrics: Metrics, process: ProcessReporter): void {
  metrics.total("busy_seconds_total", "seconds of work, loading the model among it", () => process.worked.workSeconds);
  metrics.total("idle_seconds_total", "seconds of waiting for work", () => process.worked.waitSeconds);
}

/** How long a process that is asked to stop waits for NATS if it is away: an uninstall may have taken it. */
const patienceMs = 5000;

/**
 * The wiring that student, teacher, reward and learner have in common. It opens the model, of the run or alone; serves; and in
 * a run registers and works. It stops in reverse order, and then does not wait long for a server that is away.
 *
 * @param kind what tells the process from others of its run: the role, and the teacher's name where there is one
 * @param build makes the role; nothing has started yet
 */
export function memberRole(
  context: RoleContext<MemberSettings>,
  kind: readonly [role: string, ...names: string[]],
  build: (process: MemberProcess) => MemberRole,
): RoleParts {
  const { settings } = context;
  const finished = deferred<void>();
  const closing = new AbortController();
  const role = build({ fail: finished.reject, closing: closing.signal });
  let membership: Membership | undefined;
  let begin: BeginWork | undefined;
  let work: readonly Work[] = [];
  const model: Service = {
    name: "model",
    start: async () => {
      if (!settings.run) return role.alone();
      const joined = await joinRun(settings.run, settings, ...kind);
      membership = joined;
      void joined.streams.denied.then(finished.reject);
      meterWork(context.metrics, joined.process);
      begin = await joined.process.during(ProcessWork.LOADING, "the model", () => role.join(joined));
    },
    stop: async () => {
      closing.abort();
      await membership?.process.close();
      await membership?.streams.close();
      await role.close();
    },
  };
  const working: Service = {
    name: "work",
    start: async () => {
      work = (await begin?.()) ?? [];
      // A role that stands alone serves for ever.
      if (begin) Promise.all(work.map(({ done }) => done)).then(() => finished.resolve(), finished.reject);
    },
    stop: async () => {
      await Promise.all(work.map((one) => one.stop()));
    },
  };
  return {
    before: [model, ...(role.server ? [role.server.service] : [])],
    ...(role.server && { ports: role.server.ports }),
    implementations: role.implementations,
    after: [registration(context, () => membership), working],
    finished: finished.promise,
    onStop: () => membership?.streams.hurry(patienceMs),
  };
}
