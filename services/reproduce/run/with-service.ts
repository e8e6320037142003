import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Host, Service } from "./host.js";

/**
 * Works with a service that has a directory of its own; both are gone afterwards, also after Ctrl-C.
 *
 * @throws what the work throws, or why the service failed
 */
export function withService(host: Host, work: (service: Service, directory: string) => Promise<void>): Promise<void> {
  return host.withScratch(join(tmpdir(), "retort-reproduce-"), async (directory) => {
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
  });
}
