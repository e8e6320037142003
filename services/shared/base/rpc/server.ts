import {
  create,
  type DescFile,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createValidator } from "@bufbuild/protovalidate";
import grpc from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { RetortError } from "../errors.js";
import type { Service } from "../lifecycle.js";
import type { Log } from "../log.js";
import { methodDefinition, serviceDefinition } from "./service-definition.js";
import { toStatus } from "./status.js";

/** What a handler learns of its call. */
export interface CallContext {
  /** Aborted when the caller cancels or its deadline passes. */
  readonly signal: AbortSignal;
  readonly metadata: grpc.Metadata;
}

type Methods<S extends DescService> = S["method"];

/** One function per method of a generated service: a promise for a unary one, an async iterable for a stream of answers. */
export type Handlers<S extends DescService> = {
  [K in keyof Methods<S>]: Methods<S>[K] extends {
    methodKind: "unary";
    input: infer I extends DescMessage;
    output: infer O extends DescMessage;
  }
    ? (request: MessageShape<I>, context: CallContext) => Promise<MessageInitShape<O>>
    : Methods<S>[K] extends { methodKind: "server_streaming"; input: infer I extends DescMessage; output: infer O extends DescMessage }
      ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
      : never;
};

/** A generated service with its implementation. */
export interface Implementation {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
}

/** Joins a generated service and its handlers; every method must be there. */
export function implement<S extends DescService>(service: S, handlers: Handlers<S>): Implementation {
  return { service, handlers: handlers as Readonly<Record<string, unknown>> };
}

export interface RpcServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Port of the plaintext health service, which never needs a certificate or a token; 0 takes a free one. */
  readonly healthPort: number;
  readonly maxMessageBytes: number;
  /** PEM contents; without them the server speaks plaintext. With `ca`, clients must show a certificate. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca?: Buffer };
  /** Callers must send `authorization: Bearer <token>`. */
  readonly token?: string;
}

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
    this.#server = new grpc.Server({
      "grpc.max_receive_message_length": options.maxMessageBytes,
      "grpc.max_send_message_length": options.maxMessageBytes,
    });
    this.#names = ["", ...implementations.map(({ service }) => service.typeName)];
    this.#health = new HealthImplementation(Object.fromEntries(this.#names.map((name) => [name, "NOT_SERVING" as const])));
    for (const { service, handlers } of implementations)
      this.#server.addService(serviceDefinition(service), wrapAll(service, handlers, options.token, log));
    this.#health.addToServer(this.#server);
    this.#health.addToServer(this.#healthServer);
    reflection(implementations.map(({ service }) => service)).addToServer(this.#server);
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
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
      if (!error) return resolve(bound);
      const message = `cannot listen on ${host}:${port}: ${error.message}; is another process using the port? Choose another, or 0 for any`;
      reject(new RetortError("FailedPrecondition", message, { cause: error }));
    });
  });
}

const validator = createValidator();

function wrapAll(
  service: DescService,
  handlers: Readonly<Record<string, unknown>>,
  token: string | undefined,
  log: Log,
): grpc.UntypedServiceImplementation {
  return Object.fromEntries(
    service.methods.map((method) => {
      const handler = handlers[method.localName] as (request: unknown, context: CallContext) => unknown;
      const prepare = (call: { request: unknown; metadata: grpc.Metadata } & NodeJS.EventEmitter): CallContext => {
        authorise(call.metadata, token);
        const result = validator.validate(method.input, call.request as MessageShape<DescMessage>);
        if (result.kind !== "valid") throw violations(method.input.typeName, result);
        const controller = new AbortController();
        call.on("cancelled", () => controller.abort());
        return { signal: controller.signal, metadata: call.metadata };
      };
      const report = (error: unknown) => {
        const known = RetortError.from(error);
        if (known.code === "Internal" || known.code === "Unknown") log.error({ err: known, method: method.name }, "a call failed");
        return toStatus(known);
      };
      const answer = (message: unknown) => create(method.output, message as MessageInitShape<DescMessage>);
      if (method.methodKind === "unary") {
        const unary: grpc.handleUnaryCall<unknown, unknown> = (call, done) => {
          Promise.resolve()
            .then(() => handler(call.request, prepare(call as never)))
            .then((message) => done(null, answer(message)))
            .catch((error: unknown) => done(report(error)));
        };
        return [method.name, unary];
      }
      const stream: grpc.handleServerStreamingCall<unknown, unknown> = (call) => {
        pump(call, () => handler(call.request, prepare(call as never)) as AsyncIterable<unknown>, answer).catch((error: unknown) =>
          call.emit("error", report(error)),
        );
      };
      return [method.name, stream];
    }),
  );
}

/** Sends a stream's messages no faster than the caller takes them. */
async function pump(
  call: grpc.ServerWritableStream<unknown, unknown>,
  open: () => AsyncIterable<unknown>,
  answer: (message: unknown) => unknown,
): Promise<void> {
  for await (const message of open()) {
    if (call.cancelled) return;
    if (!call.write(answer(message)))
      await new Promise<void>((resolve) => {
        call.once("drain", resolve);
        call.once("cancelled", resolve);
      });
  }
  call.end();
}

function authorise(metadata: grpc.Metadata, token: string | undefined): void {
  if (token === undefined || metadata.get("authorization")[0] === `Bearer ${token}`) return;
  throw new RetortError("Unauthenticated", "this server needs a token: send the metadata `authorization: Bearer <token>`");
}

/** Checks a message against the rules in its proto; one error lists all violations. */
export function checkMessage<D extends DescMessage>(descriptor: D, message: MessageShape<D>): void {
  const result = validator.validate(descriptor, message);
  if (result.kind !== "valid") throw violations(descriptor.typeName, result);
}

function violations(
  type: string,
  result: { kind: string; violations?: readonly { field: readonly unknown[]; message: string }[]; error?: Error },
): RetortError {
  const problems = (result.violations ?? []).map((violation) => ({ fieldPath: pathOf(violation), description: violation.message }));
  if (problems.length === 0) return RetortError.from(result.error);
  return RetortError.ofProblems(type.split(".").at(-1)!, problems);
}

function pathOf(violation: object): string {
  // A violation prints itself as "path: message [rule]".
  const text = String(violation);
  const end = text.indexOf(": ");
  return end > 0 ? text.slice(0, end) : "";
}

/** Reflection over generated descriptors, for tools such as grpcurl. */
function reflection(services: readonly DescService[]): ReflectionService {
  const files = new Map<string, Buffer>();
  const visit = (file: DescFile) => {
    if (files.has(file.name)) return;
    for (const dependency of file.dependencies) visit(dependency);
    files.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  };
  for (const service of services) visit(service.file);
  const fileDescriptorProtos = [...files.values()];
  const described = Object.fromEntries(
    services.map((service) => [
      service.typeName,
      Object.fromEntries(
        service.methods.map((method) => [
          method.name,
          { ...methodDefinition(method), requestType: { fileDescriptorProtos }, responseType: { fileDescriptorProtos } },
        ]),
      ),
    ]),
  );
  return new ReflectionService(described as never);
}
