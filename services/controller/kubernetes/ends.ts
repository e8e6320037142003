import type { V1Job, V1Pod } from "@kubernetes/client-node";
import { askedToLeave, hopelessExits, lastError } from "../launcher.js";
import { containerName } from "./pod-template.js";

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

/**
 * How a pod that is started again and again came to its end: its input is bad, or it crashed too often.
 *
 * @returns undefined for a pod that may go on
 */
export function endOfPod(pod: V1Pod, maxRestarts: number): End | undefined {
  const status = statusOf(pod);
  const end = terminationOf(pod);
  // One that a probe or a drain ended did not crash: it may be waiting for a learner whose node is still being made.
  if (!status || !end || askedToLeave.includes(end.code)) return undefined;
  return hopelessExits.includes(end.code) || status.restartCount > maxRestarts ? end : undefined;
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

const statusOf = ({ status }: V1Pod) => status?.containerStatuses?.find(({ name }) => name === containerName);

function terminationOf(pod: V1Pod): (End & { readonly finished: number }) | undefined {
  const status = statusOf(pod);
  const terminated = status?.state?.terminated ?? status?.lastState?.terminated;
  if (!terminated) return undefined;
  const { exitCode, message = "", reason = "", finishedAt } = terminated;
  // An "Error" says no more than the code does; "OOMKilled" does.
  const words = lastError(message) ?? (reason === "Error" || reason === "Completed" ? "" : reason);
  // A watch gives what a list gives as a Date as its text.
  return { code: exitCode ?? unknownCode, message: words, finished: finishedAt ? new Date(finishedAt).getTime() : 0 };
}
