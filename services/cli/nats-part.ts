import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type NatsServer, startedServers, startNatsServer } from "../shared/base/nats-server.js";
import { endLeftover } from "../shared/base/processes.js";
import { natsPermissions } from "../shared/flow/nats-permissions.js";
import { waitForSpace } from "./disk-space.js";
import type { Part } from "./keep-running.js";

/** A nats-server that can be kept running. */
export interface NatsPart extends Part {
  readonly server: NatsServer;
}

/** How a nats-server is started. */
export interface NatsPartOptions {
  readonly binary: string;
  /** Its own directory, with symbolic links resolved. */
  readonly directory: string;
  readonly port: number;
  readonly say: (sentence: string) => void;
}

/**
 * Starts a nats-server, after what an earlier one has left running is ended: two on the same files would ruin them. When
 * its JetStream has stopped because the disk was full, it ends as soon as there is space, to be started again.
 */
export async function startNatsPart({ binary, directory, port, say }: NatsPartOptions): Promise<NatsPart> {
  for (const pid of await startedServers(directory))
    if (await endLeftover(pid, [join(directory, "nats.conf")], 10_000)) say(`ended nats-server (process ${pid}), which was left behind`);
  const server = await startNatsServer({ binary, directory, port, kept: true, users: natsPermissions });
  const over = new AbortController();
  const watched = watchJetStream(directory, say, over.signal).then(async (reason) => {
    await server.stop();
    return reason;
  });
  const exited = server.exited.then((reason) => `${reason}; see ${join(directory, "nats.log")}`);
  // What it ended of comes first where both are true.
  const ended = exited.then((reason) => Promise.race([watched, sleep(0, reason)]));
  server.exited.then(() => over.abort());
  return { server, ended, stop: () => server.stop(), kill: () => server.kill() };
}

/** Settles when JetStream has been disabled and there is space again; never if the signal comes first. */
async function watchJetStream(directory: string, say: (sentence: string) => void, signal: AbortSignal): Promise<string> {
  const log = join(directory, "nats.log");
  const wait = () => sleep(1000, undefined, { ref: false, signal }).catch(() => {});
  let read = 0;
  for (; !signal.aborted; await wait()) {
    const { text, end } = await readFrom(log, read);
    if (/JetStream.*DISABLED/.test(text)) break;
    // The last line may be half written.
    read = Math.max(read, end - 200);
  }
  if (!signal.aborted) say("nats-server has stopped storing, since its disk is full; it starts again when there is space");
  await waitForSpace(directory, signal);
  return signal.aborted ? new Promise(() => {}) : "its disk was full and has space again";
}

/** A file's text from a place on; empty if there is none. */
async function readFrom(path: string, from: number): Promise<{ text: string; end: number }> {
  const size = await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
  if (size <= from) return { text: "", end: from };
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size - from, 1 << 20)), 0, undefined, from);
    return { text: buffer.toString("utf8", 0, bytesRead), end: from + bytesRead };
  } finally {
    await file.close();
  }
}
