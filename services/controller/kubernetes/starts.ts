import { setTimeout as sleep } from "node:timers/promises";
import type { V1Pod } from "@kubernetes/client-node";
import type { Log } from "../../shared/base/log.js";
import type { RoleSet } from "../launch/launcher.js";
import { persist } from "../runs/persist.js";
import { labels } from "./labels.js";
import { containerName } from "./pod-template.js";

/** What lets a run begin. */
export interface Start {
  /** Roles that must have a pod first. */
  readonly sets: readonly RoleSet[];
  readonly podsOf: () => Promise<readonly V1Pod[]>;
  /** False once the run's learner is gone: there is nothing to begin. */
  readonly isThere: () => Promise<boolean>;
  readonly begin: () => Promise<void>;
}

/** How often the pods are looked at: soon at first, then as often as a person would. */
const looksMs = { first: 500, last: 5000 };

/**
 * Lets a run's learner begin once every other role has a pod that runs: a learner holds no GPU while a teacher has no node. All
 * that is known is the cluster's: a new controller waits anew.
 */
export class Starts {
  readonly #log: Log;
  readonly #waiting = new Map<string, AbortController>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Waits in the background, in place of an earlier wait for this run. */
  wait(runId: string, start: Start): void {
    this.cancel(runId);
    const own = new AbortController();
    this.#waiting.set(runId, own);
    void persist(`waiting for the pods of run ${runId}`, () => waitAndBegin(start, own.signal), this.#log, own.signal).finally(() => {
      if (this.#waiting.get(runId) === own) this.#waiting.delete(runId);
    });
  }

  /** Waits no longer. */
  cancel(runId: string): void {
    this.#waiting.get(runId)?.abort();
  }

  /** Waits for nothing any more. */
  close(): void {
    for (const own of this.#waiting.values()) own.abort();
  }
}

async function waitAndBegin({ sets, podsOf, isThere, begin }: Start, signal: AbortSignal): Promise<void> {
  for (let pauseMs = looksMs.first; !signal.aborted; pauseMs = Math.min(looksMs.last, 1.5 * pauseMs)) {
    if (!(await isThere())) return;
    const pods = (await podsOf()).filter(isRunning);
    if (sets.every((set) => pods.some((pod) => belongsTo(pod, set)))) {
      if (!signal.aborted) await begin();
      return;
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
}

/** It has a node, its image is there, and its process has started. A student is ready only when the learner has stored its weights. */
const isRunning = ({ metadata, status }: V1Pod): boolean =>
  !metadata?.deletionTimestamp && status?.containerStatuses?.find(({ name }) => name === containerName)?.state?.running !== undefined;

function belongsTo({ metadata }: V1Pod, { role, teacher, pool }: RoleSet): boolean {
  const { [labels.component]: component, [labels.teacher]: name, [labels.pool]: key } = metadata?.labels ?? {};
  return pool ? key === pool.key : component === role && name === teacher;
}
