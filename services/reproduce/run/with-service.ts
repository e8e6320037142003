import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Host, Service } from "./host.js";

/**
 * Works with a service that has a directory of its own; both are gone afterwards, also after Ctrl-C.
 *
 * @throws what the work throws, or why the service failed
 */
export async function withService(host: Host, work: (service: Service, directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "retort-reproduce-"));
  const service = await host.startService(directory);
  const stopNow = async () => {
    await service.stop();
    await rm(directory, { recursive: true, force: true });
    free();
  };
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= stopNow());
  const stopTold = () => {
    host.terminal.write("\nwhat is finished is kept, and the same command goes on from there\n");
    return stop();
  };
  const free = host.supervise({ stop: stopTold, kill: () => rmSync(directory, { recursive: true, force: true }) });
  try {
    await Promise.race([
      work(service, directory),
      service.ended.then((error) => {
        throw error;
      }),
    ]);
  } finally {
    await stop();
  }
}
