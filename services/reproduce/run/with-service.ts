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
  const remove = () => rm(directory, { recursive: true, force: true });
  // Taken before the service and what says this, so that it goes last.
  const forget = host.supervise({ stop: remove, kill: () => rmSync(directory, { recursive: true, force: true }) });
  try {
    const service = await host.startService(directory);
    const told = host.supervise({
      stop: async () => void host.terminal.write("\nwhat is finished is kept, and the same command goes on from there\n"),
      kill: () => {},
    });
    try {
      const failed = service.ended.then((error) => {
        throw error;
      });
      await Promise.race([work(service, directory), failed]);
    } finally {
      await service.stop();
      told();
    }
  } finally {
    await remove();
    forget();
  }
}
