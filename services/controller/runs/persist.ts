import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../shared/base/log.js";

/** The first and the longest pause between two tries. */
const pausesMs = { first: 500, last: 30_000 };

/**
 * Repeats work in the background until it succeeds, more and more slowly: NATS, the cluster or a disk may be away for as
 * long as they like, and one failure must not end the process. Says each time what went wrong.
 *
 * @returns the work's result; undefined once the signal is aborted
 */
export async function persist<T>(what: string, work: () => Promise<T>, log: Log, signal: AbortSignal): Promise<T | undefined> {
  for (let pauseMs = pausesMs.first; !signal.aborted; pauseMs = Math.min(pausesMs.last, 2 * pauseMs)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) break;
      log.error({ err: error }, `${what} failed; trying again in ${pauseMs} ms`);
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
    }
  }
  return undefined;
}
