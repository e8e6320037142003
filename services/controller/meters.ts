import { statfs } from "node:fs/promises";
import type { Log } from "../shared/base/log.js";
import type { Metrics } from "../shared/base/metrics.js";
import type { Look } from "./runs/look.js";

/** What the controller's metrics are looked up in. */
export interface MeteredPlace {
  readonly dataDir: string;
  /** undefined while the controller is still connecting. */
  readonly look: () => Promise<Look> | undefined;
  readonly log: Log;
}

/** A look answers every figure of one scrape. */
const freshMs = 1000;

/** The controller's metrics: runs, their queues, the streams, the disk. All of it is looked up when somebody asks; what can't be had then isn't there. */
export function meterController(metrics: Metrics, { dataDir, look, log }: MeteredPlace): void {
  const now = shared(freshMs, async () => {
    try {
      return await look();
    } catch (error) {
      log.warn({ err: error }, "figures of runs and streams can't be had just now");
      return undefined;
    }
  });
  metrics.observed("runs", "runs that are not over", [], async (set) => {
    const found = await now();
    if (found) set({}, found.runs.size);
  });
  metrics.observed("run_state", "1 for the state of each run that is not over", ["run", "state"], async (set) => {
    for (const [run, state] of (await now())?.runs ?? []) set({ run, state }, 1);
  });
  const queue = ["run", "role", "teacher", "stream"] as const;
  metrics.observed("queue_messages", "messages that a role has not taken yet", queue, async (set) => {
    for (const { waiting, run, role, teacher, stream } of (await now())?.queues ?? []) set({ run, role, teacher, stream }, waiting);
  });
  metrics.observed("queue_in_hand_messages", "messages that a process of the role is at", queue, async (set) => {
    for (const { inHand, run, role, teacher, stream } of (await now())?.queues ?? []) set({ run, role, teacher, stream }, inHand);
  });
  metrics.observed("stream_bytes", "bytes of a stream", ["stream"], async (set) => {
    for (const { stream, bytes } of (await now())?.streams ?? []) set({ stream }, bytes);
  });
  metrics.observed("stream_limit_bytes", "bytes that a stream may hold", ["stream"], async (set) => {
    for (const { stream, limitBytes } of (await now())?.streams ?? []) set({ stream }, limitBytes);
  });
  metrics.observed("nats_stored_bytes", "bytes of all streams and buckets in NATS, weights among them", [], async (set) => {
    const found = await now();
    if (found) set({}, found.storedBytes);
  });
  meterDisk(metrics, dataDir);
}

/** The disk of the data directory, on which checkpoints and trained students are. */
function meterDisk(metrics: Metrics, dataDir: string): void {
  const disk = shared(freshMs, () => statfs(dataDir).catch(() => undefined));
  metrics.observed("disk_free_bytes", "bytes that are free on the disk of the data directory", [], async (set) => {
    const found = await disk();
    if (found?.blocks) set({}, found.bavail * found.bsize);
  });
  metrics.observed("disk_size_bytes", "size of the disk of the data directory", [], async (set) => {
    const found = await disk();
    if (found?.blocks) set({}, found.blocks * found.bsize);
  });
}

/** One answer for all who ask within a time. */
function shared<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined;
  return () => {
    if (!last || performance.now() - last.at > ms) last = { at: performance.now(), answer: ask() };
    return last.answer;
  };
}
