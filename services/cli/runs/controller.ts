import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { RetortError } from "../../shared/base/errors.js";
import type { ClientOptions } from "../../shared/base/rpc/client.js";
import { type ControllerClient, connectController } from "../local.js";

/** How a command finds its controller. */
export interface ControllerOptions {
  readonly controller?: string;
  readonly dataDir: string;
  readonly token?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** Adds the options of {@link ControllerOptions}. */
export const controllerOptions = (command: Command): Command =>
  command
    .option("--controller <host:port>", "the controller (default: RETORT_CONTROLLER, else the one that `retort up` started)")
    .option("--token <token>", "bearer token (default: RETORT_TOKEN)")
    .option("--tls-ca <file>", "authority (PEM) of the controller's certificate; without it the connection is plaintext")
    .option("--tls-cert <file>", "own certificate (PEM), for a controller that asks for one")
    .option("--tls-key <file>", "own key (PEM)")
    .option("--data-dir <dir>", "directory of `retort up`", ".retort");

/** Does some work with a controller. @throws FailedPrecondition if none is known */
export async function withController<T>(options: ControllerOptions, work: (controller: ControllerClient) => Promise<T>): Promise<T> {
  const started = await readFile(join(options.dataDir, "address"), "utf8").then(
    (text) => text.trim(),
    () => undefined,
  );
  const address = options.controller ?? process.env.RETORT_CONTROLLER ?? started;
  if (!address)
    throw new RetortError(
      "FailedPrecondition",
      "no controller is known: start one with `retort up` in another terminal, or give --controller host:port",
    );
  const controller = connectController(address, { token: options.token ?? process.env.RETORT_TOKEN, tls: await readTls(options) });
  try {
    return await work(controller);
  } finally {
    controller.close();
  }
}

/** The PEM files of the TLS options; undefined where the connection is to be plaintext. */
async function readTls({ tlsCa, tlsCert, tlsKey }: ControllerOptions): Promise<ClientOptions["tls"]> {
  if (!tlsCert !== !tlsKey) throw new RetortError("InvalidArgument", "--tls-cert and --tls-key belong together; give both");
  if (!tlsCa && tlsCert)
    throw new RetortError("InvalidArgument", "--tls-cert needs --tls-ca, the authority of the controller's certificate");
  if (!tlsCa) return undefined;
  const read = (path: string): Promise<Buffer> =>
    readFile(path).catch((error: NodeJS.ErrnoException) => {
      throw new RetortError("NotFound", `${path} cannot be read (${error.code}); give a PEM file`);
    });
  return { ca: await read(tlsCa), ...(tlsCert && tlsKey ? { cert: await read(tlsCert), key: await read(tlsKey) } : {}) };
}
