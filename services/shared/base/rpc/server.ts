import grpc from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { RetortError } from "../errors.js";
import type { Service } from "../lifecycle.js";
import type { Log } from "../log.js";
import { type AccessOptions, accessInterceptor, CallGate, scopesOf } from "./access.js";
import { grpcHandlers, type Implementation } from "./handlers.js";
import { reflection } from "./reflection.js";
import { serviceDefinition } from "./service-definition.js";

/** Where and how a server listens. */
export interface RpcServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Port of the plaintext health service, which never needs a certificate or a token; 0 takes a free one. */
  readonly healthPort: number;
  readonly maxMessageBytes: number;
  /** PEM contents; without them the server speaks plaintext. With `ca`, clients must show a certificate. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca?: Buffer };
  /** Who may call, and how much at a time. Default: everyone, 1000 calls. */
  readonly access?: Partial<AccessOptions>;
}

/** Most streams of one connection, and how long a client that has gone without a word is kept, in milliseconds. */
const maxStreams = 256;
const keepalive = { timeMs: 60_000, timeoutMs: 20_000 };

/** A gRPC server: the given services, reflection, and the standard health service on its own port and the main one. */
export class RpcServer implements Service {
  readonly name = "rpc";
  readonly #server: grpc.Server;
  readonly #healthServer = new grpc.Server();
  readonly #health: HealthImplementation;
  readonly #options: RpcServerOptions;
  readonly #names: readonly string[];
  port = 0;
  healthPort = 0;

  constructor(implementations: readonly Implementation[], options: RpcServerOptions, log: Log) {
    this.#options = options;
    const services = implementations.map(({ service }) => service);
    this.#server = new grpc.Server({
      "grpc.max_receive_message_length": options.maxMessageBytes,
      "grpc.max_send_message_length": options.maxMessageBytes,
      "grpc.max_concurrent_streams": maxStreams,
      "grpc.keepalive_time_ms": keepalive.timeMs,
      "grpc.keepalive_timeout_ms": keepalive.timeoutMs,
      interceptors: [accessInterceptor(new CallGate(scopesOf(services), { grants: [], maxCalls: 1000, ...options.access }))],
    });
    this.#names = ["", ...implementations.map(({ service }) => service.typeName)];
    this.#health = new HealthImplementation(Object.fromEntries(this.#names.map((name) => [name, "NOT_SERVING" as const])));
    for (const implementation of implementations)
      this.#server.addService(serviceDefinition(implementation.service), grpcHandlers(implementation, options, log));
    this.#health.addToServer(this.#server);
    this.#health.addToServer(this.#healthServer);
    reflection(services).addToServer(this.#server);
  }

  async start(): Promise<void> {
    const { host, port, healthPort, tls } = this.#options;
    const credentials = tls
      ? grpc.ServerCredentials.createSsl(tls.ca ?? null, [{ cert_chain: tls.cert, private_key: tls.key }], tls.ca !== undefined)
      : grpc.ServerCredentials.createInsecure();
    this.port = await bind(this.#server, host, port, credentials);
    this.healthPort = await bind(this.#healthServer, host, healthPort, grpc.ServerCredentials.createInsecure());
    this.serving(true);
  }

  /** What the health service answers. */
  serving(yes: boolean): void {
    for (const name of this.#names) this.#health.setStatus(name, yes ? "SERVING" : "NOT_SERVING");
  }

  /** Lets calls in progress end; those that outlast two seconds are cut off. */
  async stop(): Promise<void> {
    this.serving(false);
    await Promise.all([this.#server, this.#healthServer].map((server) => shutdown(server, 2000)));
  }
}

function shutdown(server: grpc.Server, patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, patienceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function bind(server: grpc.Server, host: string, port: number, credentials: grpc.ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host.includes(":") ? `[${host}]` : host}:${port}`, credentials, (error, bound) => {
      if (!error) return resolve(bound);
      const message = `cannot listen on ${host}:${port}: ${error.message}; is another process using the port? Choose another, or 0 for any`;
      reject(new RetortError("FailedPrecondition", message, { cause: error }));
    });
  });
}
