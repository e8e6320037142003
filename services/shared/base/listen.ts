import type { AddressInfo, Server } from "node:net";
import { RetortError } from "./errors.js";

/**
 * Starts a server that listens, and returns its port.
 *
 * @param port 0 takes a free one
 * @param what it serves, and the flag of its port, for the error
 * @throws FailedPrecondition if it can't listen there
 */
export async function listen(server: Server, host: string, port: number, what: string, flag: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const message = `cannot serve ${what} on ${host}:${port}: ${error.message}; choose another ${flag}, or 0 for any`;
      reject(new RetortError("FailedPrecondition", message, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
  return (server.address() as AddressInfo).port;
}
