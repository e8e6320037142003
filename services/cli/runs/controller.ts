import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { RetortError } from "../../shared/base/errors.js";
import type { ClientOptions } from "../../shared/base/rpc/client.js";
import { answers, knownControllers } from "../known-controllers.js";
import { type ControllerClient, connectController } from "../local.js";

const defaultDataDir = ".retort";

/** How a command finds its controller. */
export interface ControllerOptions {
  readonly controller?: string;
  /** Default: .retort here, else that of whichever controller this user runs. */
  readonly dataDir?: string;
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
    .option(
      "--tls-ca <file>",
      "authority (PEM) of the controller's certificate (default: RETORT_CONTROLLER_TLS_CA); without it the connection is plaintext",
    )
    .option("--tls-cert <file>", "own certificate (PEM), for a controller that asks for one (default: RETORT_CONTROLLER_TLS_CERT)")
    .option("--tls-key <file>", "own key (PEM; default: RETORT_CONTROLLER_TLS_KEY)")
    .option("--data-dir <dir>", "directory of `retort up` (default: .retort, else the one in which it runs)");

/** Where a controller serves, and the directory of its state if it is on this machine. */
export interface FoundController {
  readonly address: string;
  readonly dataDir?: string;
}

/** A controller that a command's options or the environment name; undefined where neither does. */
export const namedController = (options: Pick<ControllerOptions, "controller">): string | undefined =>
  options.controller ?? (process.env.RETORT_CONTROLLER || undefined);

/** The address that `retort up` has left in a directory; empty where it never ran. */
const addressIn = (dataDir: string): Promise<string> =>
  readFile(join(dataDir, "address"), "utf8").then(
    (text) => text.trim(),
    () => "",
  );

/**
 * The controller that is meant: --controller, RETORT_CONTROLLER, the one of --data-dir, the one of .retort here, or else the one that
 * this user runs in another directory.
 *
 * @throws FailedPrecondition if none is known, or several are
 */
export async function findController(options: Pick<ControllerOptions, "controller" | "dataDir">): Promise<FoundController> {
  const named = namedController(options);
  if (named) return { address: named };
  const dataDir = options.dataDir ?? defaultDataDir;
  const here = await addressIn(dataDir);
  if (here && (options.dataDir !== undefined || (await answers(here)))) return { address: here, dataDir };
  const { serving, gone } = options.dataDir === undefined ? await knownControllers() : { serving: [], gone: [] };
  for (const { dataDir: its, address } of gone) console.error(`the controller of ${its} (${address}) doesn't answer any more`);
  const [only, ...others] = serving;
  if (only && !others.length) {
    if (here) console.error(`the controller of ${dataDir} (${here}) doesn't answer; asking that of ${only.dataDir} (${only.address})`);
    return only;
  }
  if (only)
    throw new RetortError(
      "FailedPrecondition",
      `several controllers run here; name one: ${serving.map(({ address, dataDir: its }) => `--controller ${address} (of ${its})`).join(", ")}`,
    );
  throw new RetortError(
    "FailedPrecondition",
    `${here ? `the controller of ${dataDir} (${here}) doesn't answer, and no other` : "no controller"} is known: start one with \`retort up\` in another terminal, or give --controller host:port`,
  );
}

/** The controller that {@link findController} finds where none is named; undefined where none answers, or several do. */
export async function localController(): Promise<FoundController | undefined> {
  const here = await addressIn(defaultDataDir);
  if (here && (await answers(here))) return { address: here, dataDir: defaultDataDir };
  const { serving } = await knownControllers();
  return serving.length === 1 ? serving[0] : undefined;
}

/** Does some work with a controller. @throws FailedPrecondition if none is known */
export async function withController<T>(
  options: ControllerOptions,
  work: (controller: ControllerClient, found: FoundController) => Promise<T>,
): Promise<T> {
  const found = await findController(options);
  const controller = connectController(found.address, { token: options.token ?? process.env.RETORT_TOKEN, tls: await readTls(options) });
  try {
    return await work(controller, found);
  } finally {
    controller.close();
  }
}

/** The PEM files of the TLS options, or of the environment; undefined where the connection is to be plaintext. */
async function readTls(options: ControllerOptions): Promise<ClientOptions["tls"]> {
  const { RETORT_CONTROLLER_TLS_CA, RETORT_CONTROLLER_TLS_CERT, RETORT_CONTROLLER_TLS_KEY } = process.env;
  const tlsCa = options.tlsCa || RETORT_CONTROLLER_TLS_CA;
  const tlsCert = options.tlsCert || RETORT_CONTROLLER_TLS_CERT;
  const tlsKey = options.tlsKey || RETORT_CONTROLLER_TLS_KEY;
  if (!tlsCert !== !tlsKey)
    throw new RetortError(
      "InvalidArgument",
      "--tls-cert and --tls-key (RETORT_CONTROLLER_TLS_CERT, RETORT_CONTROLLER_TLS_KEY) belong together; give both",
    );
  if (!tlsCa && tlsCert)
    throw new RetortError("InvalidArgument", "--tls-cert needs --tls-ca, the authority of the controller's certificate");
  if (!tlsCa) return undefined;
  const read = (path: string): Promise<Buffer> =>
    readFile(path).catch((error: NodeJS.ErrnoException) => {
      throw new RetortError("NotFound", `${path} cannot be read (${error.code}); give a PEM file`);
    });
  return { ca: await read(tlsCa), ...(tlsCert && tlsKey ? { cert: await read(tlsCert), key: await read(tlsKey) } : {}) };
}
