import type { V1ContainerState, V1ContainerStatus, V1Job, V1Pod } from "@kubernetes/client-node";
import { lastError } from "../../shared/base/log.js";
import { type RestartLimits, Restarts, type Verdict } from "../launch/restarts.js";
import { labels } from "./labels.js";
import { containerName, fetchName } from "./pod-template.js";

/** Exit code and last words of a role's container. */
export interface End {
  readonly code: number;
  readonly message: string;
}

/** Code of a container that ended without telling one, as the local launcher has it. */
const unknownCode = 128;

const holds = (job: V1Job, type: string) =>
  job.status?.conditions?.find((condition) => condition.type === type && condition.status === "True");

/** True if a learner's Job will start no pod any more. */
export const isFinished = (job: V1Job): boolean => holds(job, "Complete") !== undefined || holds(job, "Failed") !== undefined;

/**
 * How a learner's Job ended, from its pods: the newest end counts.
 *
 * @returns undefined while it is running
 */
export function endOfJob(job: V1Job, pods: readonly V1Pod[]): End | undefined {
  if (holds(job, "Complete")) return { code: 0, message: "" };
  const failed = holds(job, "Failed");
  if (!failed) return undefined;
  const ends = pods.flatMap((pod) => terminationOf(pod) ?? []).sort((a, b) => a.finished - b.finished);
  const { code, message } = ends.at(-1) ?? { code: unknownCode, message: "" };
  return { code, message: message || failed.message || failed.reason || "" };
}

/** What follows from the newest end of a pod's container. */
export interface Noted extends Verdict, End {}

/**
 * The ends of containers as their pods tell of them, counted in a window: a pod's own count is of its whole life. A learner's
 * are those of all pods of its Job, any other pod's its own.
 */
export class PodEnds {
  readonly #limits: RestartLimits;
  /** How many ends are known, by pod and container. */
  readonly #seen = new Map<string, Map<string, number>>();
  readonly #restarts = new Map<string, Restarts>();

  constructor(limits: RestartLimits) {
    this.#limits = limits;
  }

  /** What follows from a pod's newest end; undefined if there is none since the last call. */
  note(pod: V1Pod): Noted | undefined {
    const [status, end, { uid = "", ownerReferences, labels: found } = {}] = [statusOf(pod), terminationOf(pod), pod.metadata];
    if (!status || !end) return undefined;
    const ends = (status.restartCount ?? 0) + (status.state?.terminated ? 1 : 0);
    // Those from before this process watched are the business of the one before it.
    const seen = this.#seen.get(uid) ?? new Map<string, number>();
    const fresh = ends - (seen.get(status.name) ?? ends - 1);
    if (fresh <= 0) return undefined;
    this.#seen.set(uid, seen.set(status.name, ends));
    const key = (found?.[labels.component] === "learner" && ownerReferences?.[0]?.uid) || uid;
    const restarts = this.#restarts.get(key) ?? new Restarts(this.#limits);
    this.#restarts.set(key, restarts);
    const verdict = restarts.note(end.code, end.finished || Date.now(), fresh);
    const many = !verdict.restart && verdict.cause === "killed" ? restarts.sentence(verdict.cause, verdict.count) : "";
    return { ...verdict, code: end.code, message: [many, end.message].filter(Boolean).join(" ") };
  }

  /** Forgets a pod that is gone. */
  forget({ metadata }: V1Pod): void {
    this.#seen.delete(metadata?.uid ?? "");
    this.#restarts.delete(metadata?.uid ?? "");
  }
}

/** Why a pod does not start. */
export interface PodDelay {
  readonly reason: string;
  readonly message: string;
}

/** What a container waits for that does not come by itself. "ContainerCreating" and the pause after a crash do. */
const stuck: ReadonlySet<string> = new Set([
  "CreateContainerConfigError",
  "CreateContainerError",
  "ErrImageNeverPull",
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "RunContainerError",
]);

/**
 * Why a pod does not start: no node takes it, or its container cannot be made.
 *
 * @returns undefined for a pod that is on its way
 */
export function delayOf(pod: V1Pod): PodDelay | undefined {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False" && scheduled.reason) return { reason: scheduled.reason, message: scheduled.message ?? "" };
  const waiting = statusOf(pod)?.state?.waiting;
  return waiting?.reason && stuck.has(waiting.reason) ? { reason: waiting.reason, message: waiting.message ?? "" } : undefined;
}

/** The container that says how a pod is: the role's, or one that has failed to fetch what the role needs, before it could start. */
function statusOf({ status }: V1Pod): V1ContainerStatus | undefined {
  const fetching = status?.initContainerStatuses?.filter(({ name }) => name === fetchName || name.startsWith(`${fetchName}-`));
  const failed = fetching?.find(({ state, lastState }) => !isDone(state) && (isFailed(state) || isFailed(lastState) || state?.waiting));
  return failed ?? status?.containerStatuses?.find(({ name }) => name === containerName);
}

const isDone = (state: V1ContainerState | undefined): boolean => state?.terminated?.exitCode === 0;
const isFailed = (state: V1ContainerState | undefined): boolean => (state?.terminated?.exitCode ?? 0) !== 0;

/** What a command of `retort` has said last, without who says it. */
const refusalIn = (text: string): string | undefined => [...text.matchAll(/^retort: (.+)$/gm)].at(-1)?.[1];

function terminationOf(pod: V1Pod): (End & { readonly finished: number }) | undefined {
  const status = statusOf(pod);
  const terminated = status?.state?.terminated ?? status?.lastState?.terminated;
  if (!terminated) return undefined;
  const { exitCode, message = "", reason = "", finishedAt } = terminated;
  // An "Error" says no more than the code does; "OOMKilled" does.
  const words =
    (reason === "OOMKilled" ? undefined : (lastError(message) ?? refusalIn(message))) ??
    (reason === "Error" || reason === "Completed" ? "" : reason);
  // A watch gives what a list gives as a Date as its text.
  return { code: exitCode ?? unknownCode, message: words, finished: finishedAt ? new Date(finishedAt).getTime() : 0 };
}
