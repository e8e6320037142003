import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../../shared/base/errors.js";
import { freeBytes } from "../../shared/base/free-bytes.js";
import { isStopping } from "./guard.js";
import type { RunContext } from "./run-context.js";

/** Longest wait for a full disk: a night and a morning, for an operator to come. */
const deadlineMs = 24 * 3600 * 1000;
/** Longest pause between two tries. */
const longestPauseMs = 10_000;

/**
 * Writes something, and where the disk is full waits for room and writes again: what has been trained is not lost for that.
 * The run's events name the disk.
 *
 * @param what what is written, for events: "the checkpoint of step 7"
 * @param directory where
 * @throws ResourceExhausted that names the disk after a day, or when the run is to stop meanwhile
 */
export async function withRoom<T>(context: RunContext, what: string, directory: string, write: () => Promise<T>): Promise<T> {
  const startedMs = Date.now();
  const waits = (missing: number) => context.progress.waitsFor(what, new Map(missing ? [["disk", missing]] : []));
  for (let tries = 0; ; tries++) {
    try {
      const written = await write();
      if (tries > 0) waits(0);
      return written;
    } catch (error) {
      const { code, message } = RetortError.from(error);
      if (code !== "ResourceExhausted") throw error;
      const waitedMs = Date.now() - startedMs;
      if (waitedMs > deadlineMs || (await isStopping(context)))
        throw new RetortError("ResourceExhausted", `${what} could not be written to ${directory}: ${message}`, { cause: error });
      waits(1);
      // Told at once, and then each time the number of tries has doubled.
      if ((tries & (tries - 1)) === 0) {
        const waitsFor = `room on the disk of ${directory}${await freeOn(directory)} for ${what}`;
        context.log.warn({ err: error }, `waiting for ${waitsFor}`);
        context.report.waiting("learner", waitsFor, waitedMs / 1000, deadlineMs / 1000);
      }
    }
    await sleep(Math.min(longestPauseMs, 500 * 2 ** tries), undefined, { signal: context.stop }).catch(() => {});
  }
}

/** How much of a disk is free, in words; nothing where that cannot be told. */
async function freeOn(directory: string): Promise<string> {
  const free = await freeBytes(directory);
  return free === undefined ? "" : ` (${Math.floor(free / 2 ** 20)} MiB free)`;
}
