import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { RetortError } from "./errors.js";
import { HttpEdge } from "./http/http-edge.js";
import { runProcess, type Service } from "./lifecycle.js";
import { createLog, type Log } from "./log.js";
import { Metrics, metricsServer } from "./metrics.js";
import { isLoopback } from "./paths.js";
import { parentGone } from "./processes.js";
import { type Serving, tellParent } from "./ready.js";
import { type Grant, grantsOf } from "./rpc/access.js";
import type { Implementation } from "./rpc/handlers.js";
import { RpcServer } from "./rpc/server.js";
import { describeSettings, type ProcessSettings, type processSettings, readSettings, unlikeDefaults, unreadVariables } from "./settings.js";
import { tracing } from "./tracing.js";

/** What a role's process has from the start. */
export interface RoleContext<S extends ProcessSettings> {
  readonly role: string;
  readonly settings: S;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Ports that the process listens on; known once its servers have started. */
  readonly ports: () => Omit<Serving, "host">;
}

/** What a role adds: services that start before its gRPC server and after it, and what it implements. */
export interface RoleParts {
  readonly before: readonly Service[];
  readonly implementations: readonly Implementation[];
  /** Further tokens that it lets in, of its tenants. */
  readonly grants?: readonly Grant[];
  /** A page that is served beside them, and the port of both for browsers and curl. */
  readonly page?: { readonly port: number; readonly directory: string };
  readonly after: readonly Service[];
  /** Ports of what it serves besides; known once `before` has started. */
  readonly ports?: () => Partial<Serving>;
  /** Settles when the role's work is done by itself, rejects when it has failed; absent for a role that serves for ever. */
  readonly finished?: Promise<void>;
  /** Called once when the process stops, before any service does. */
  readonly onStop?: () => void;
}

/** Runs a role as this process, to its end. Its settings come from the arguments, the environment and a file. */
export async function runRole<S extends typeof processSettings>(
  role: string,
  schema: S,
  argv: readonly string[],
  build: (context: RoleContext<z.infer<S>>) => RoleParts,
): Promise<never> {
  if (argv.includes("--help")) {
    console.log(`settings of ${role}:\n${describeSettings(schema)}`);
    process.exit(0);
  }
  const settings = readSettings(schema, argv, process.env);
  const { host, logFormat, logLevel, graceMs } = settings;
  const log = createLog(role, { level: logLevel, format: logFormat });
  log.info({ settings: unlikeDefaults(schema, settings) }, "settings that are unlike their defaults");
  for (const { fieldPath, description } of unreadVariables(schema, settings, process.env)) log.warn(`${fieldPath} ${description}`);
  const metrics = new Metrics(role, labelsOf(settings));
  const metricsEndpoint = metricsServer(metrics.registry, host, settings.metricsPort);
  let rpc: RpcServer | undefined;
  let edge: HttpEdge | undefined;
  let parts: RoleParts | undefined;
  const ports = () => ({
    grpcPort: rpc?.port ?? 0,
    healthPort: rpc?.healthPort ?? 0,
    metricsPort: metricsEndpoint.port(),
    ...(edge && { httpPort: edge.port }),
    ...parts?.ports?.(),
  });
  parts = build({ role, settings, log, metrics, ports });
  const { maxMessageBytes, maxCalls, port, healthPort } = settings;
  const grants = grantsOf(settings, parts.grants);
  const options = { host, port, healthPort, maxMessageBytes, access: { grants, maxCalls }, tls: await readTls(settings) };
  edge = parts.page && new HttpEdge(parts.implementations, { ...options, port: parts.page.port, page: parts.page.directory }, log);
  const open = exposure(host, options.tls !== undefined, grants.length > 0);
  if (open) log.warn(open);
  rpc = new RpcServer(parts.implementations, options, log);
  const announce: Service = {
    name: "announce",
    start: async () => {
      const serving = { ...ports(), host };
      log.info(serving, `${role} is serving`);
      await tellParent({ serving });
    },
  };
  const services = [
    tracing(role, settings.traceEndpoint, log),
    metricsEndpoint,
    ...parts.before,
    rpc,
    ...(edge ? [edge] : []),
    announce,
    ...parts.after,
  ];
  const finished = parts.finished ?? new Promise<void>(() => {});
  const over = settings.exitWithParent ? Promise.race([finished, parentGone()]) : finished;
  return runProcess(services, over, { log, graceMs, onStop: parts.onStop });
}

/** What every series of a process is labelled with: the run that it serves, and which of its teachers it is; or the pool that it is of. */
function labelsOf(settings: Readonly<Record<string, unknown>>): Record<string, string> {
  const { run, teacher, pool } = settings;
  if (typeof pool === "string") return { pool };
  if (typeof run !== "string") return {};
  return typeof teacher === "string" ? { run, teacher } : { run };
}

/** What is open to the network that should not be; undefined for a process that only this machine reaches. */
function exposure(host: string, tls: boolean, tokens: boolean): string | undefined {
  if (isLoopback(host) || (tls && tokens)) return undefined;
  const lacks = [tls ? "" : "TLS (--tls-cert, --tls-key)", tokens ? "" : "tokens (--token)"].filter(Boolean).join(" and ");
  return `listening on ${host} without ${lacks}: anyone who reaches this address can ${tokens ? "read what is said" : "call it"}`;
}

/** The certificates that a process's servers show and ask for; undefined for plaintext. @throws InvalidArgument for one without the other */
export async function readTls({ tlsCert, tlsKey, tlsCa }: ProcessSettings) {
  if (!tlsCert && !tlsKey) return undefined;
  if (!tlsCert || !tlsKey) throw new RetortError("InvalidArgument", "--tls-cert and --tls-key belong together; give both");
  const [cert, key, ca] = await Promise.all([readFile(tlsCert), readFile(tlsKey), tlsCa ? readFile(tlsCa) : undefined]);
  return { cert, key, ca };
}
