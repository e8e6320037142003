import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageInitShape,
  type MessageShape,
  type MessageValidType,
  toBinary,
} from "@bufbuild/protobuf";
import type grpc from "@grpc/grpc-js";
import { RetortError } from "../errors.js";
import { found } from "../found.js";
import type { Log } from "../log.js";
import { traced, traceOf } from "../tracing.js";
import { callerOf, type Grant } from "./access.js";
import type { Caller } from "./caller.js";
import { checkMessage } from "./check-message.js";
import { tooLargeAdvice, toStatus } from "./status.js";

/** What a handler learns of its call, whatever transport it came by. */
export interface CallContext {
  /** Aborted when the caller cancels or its deadline passes. */
  readonly signal: AbortSignal;
  readonly caller: Caller;
}

type Methods<S extends DescService> = S["method"];

/** One function per method of a generated service: a promise for a unary one, an async iterable for a stream of answers. */
export type Handlers<S extends DescService> = {
  [K in keyof Methods<S>]: Methods<S>[K] extends {
    methodKind: "unary";
    input: infer I extends DescMessage;
    output: infer O extends DescMessage;
  }
    ? (request: MessageValidType<I>, context: CallContext) => Promise<MessageInitShape<O>>
    : Methods<S>[K] extends { methodKind: "server_streaming"; input: infer I extends DescMessage; output: infer O extends DescMessage }
      ? (request: MessageValidType<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
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

/** What a server asks of every call. */
export interface CallPolicy {
  /** Largest answer in bytes. */
  readonly maxMessageBytes: number;
  /** The tokens that it lets in; without any, everyone. */
  readonly grants: readonly Grant[];
}

type Handler = (request: unknown, context: CallContext) => unknown;

/**
 * What grpc-js serves for an implementation. Each call's request is checked against the rules in its proto,
 * and its failure turned into a status; failures that mean a bug are logged.
 */
export function grpcHandlers({ service, handlers }: Implementation, policy: CallPolicy, log: Log): grpc.UntypedServiceImplementation {
  return Object.fromEntries(
    service.methods.map((method) => {
      const handler = handlers[method.localName] as Handler;
      return [
        method.name,
        method.methodKind === "unary" ? unary(method, handler, policy, log) : serverStream(method, handler, policy, log),
      ];
    }),
  );
}

function unary(method: DescMethod, handler: Handler, policy: CallPolicy, log: Log): grpc.handleUnaryCall<unknown, unknown> {
  return (call, done) => {
    admit(call, method, policy)
      .then((context) => inTrace(method, call.metadata, async () => handler(call.request, context)))
      .then((message) => done(null, answer(method, message, policy)))
      .catch((error: unknown) => done(report(error, method, log)));
  };
}

function serverStream(
  method: DescMethod,
  handler: Handler,
  policy: CallPolicy,
  log: Log,
): grpc.handleServerStreamingCall<unknown, unknown> {
  return (call) => {
    admit(call, method, policy)
      .then((context) =>
        inTrace(method, call.metadata, () =>
          pump(call, handler(call.request, context) as AsyncIterable<unknown>, method, policy, context.signal),
        ),
      )
      .catch((error: unknown) => call.emit("error", report(error, method, log)));
  };
}

/** Runs a call as a span of its caller's trace. */
const inTrace = <T>(method: DescMethod, metadata: grpc.Metadata, work: () => Promise<T>): Promise<T> =>
  traced(
    `${method.parent.typeName}/${method.name}`,
    { "rpc.system": "grpc" },
    work,
    traceOf((name) => metadata.get(name)[0]?.toString()),
  );

/** Sends a stream's messages no faster than the caller takes them. */
async function pump(
  call: grpc.ServerWritableStream<unknown, unknown>,
  messages: AsyncIterable<unknown>,
  method: DescMethod,
  policy: CallPolicy,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages) {
    if (signal.aborted) return;
    if (call.write(answer(method, message, policy))) continue;
    await new Promise<void>((resolve) => {
      call.once("drain", resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
  call.end();
}

type AnyCall = { readonly request: unknown; readonly metadata: grpc.Metadata; readonly cancelled: boolean } & NodeJS.EventEmitter;

async function admit(call: AnyCall, method: DescMethod, { grants }: CallPolicy): Promise<CallContext> {
  const controller = new AbortController();
  call.once("cancelled", () => controller.abort(new RetortError("Cancelled", "the caller is gone, or its deadline has passed")));
  if (call.request instanceof RetortError) throw call.request;
  checkMessage(method.input, call.request as MessageShape<DescMessage>);
  const caller = callerOf(String(call.metadata.get("authorization")[0] ?? ""), grants);
  return { signal: controller.signal, caller: found(caller, "the caller that was let in") };
}

function report(error: unknown, method: DescMethod, log: Log): grpc.ServiceError {
  const known = RetortError.from(error);
  if (known.code === "Internal" || known.code === "Unknown") log.error({ err: known, method: method.name }, "a call failed");
  return toStatus(known);
}

/** The bytes of an answer. @throws ResourceExhausted with both sizes if no message may be so large */
function answer(method: DescMethod, message: unknown, { maxMessageBytes }: CallPolicy): Buffer {
  const bytes = Buffer.from(toBinary(method.output, create(method.output, message as MessageInitShape<DescMessage>)));
  if (bytes.length <= maxMessageBytes) return bytes;
  throw new RetortError(
    "ResourceExhausted",
    `the answer of ${method.name} takes ${bytes.length} bytes, and a message may take ${maxMessageBytes}; ${tooLargeAdvice}`,
    { retry: "never" },
  );
}
