import { create, type DescMessage, type DescMethod, type DescService, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import grpc from "@grpc/grpc-js";
import { traceHeaders } from "../tracing.js";
import { methodDefinition } from "./service-definition.js";
import { fromStatus } from "./status.js";

/** Limits of one call. */
export interface CallOptions {
  /** Default: the client's for a unary call, none for a stream. */
  readonly timeoutMs?: number;
  /** Cancels the call; a stream then ends without an error. */
  readonly signal?: AbortSignal;
}

/** One function per method of a generated service: a promise, or an async iterable of a stream's messages. */
export type Client<S extends DescService> = {
  [K in keyof S["method"]]: S["method"][K] extends {
    methodKind: "unary";
    input: infer I extends DescMessage;
    output: infer O extends DescMessage;
  }
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : S["method"][K] extends { methodKind: "server_streaming"; input: infer I extends DescMessage; output: infer O extends DescMessage }
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : never;
} & { close(): void };

/** How a client calls. */
export interface ClientOptions {
  /** Deadline of unary calls. Streams have none unless asked. */
  readonly timeoutMs: number;
  readonly maxMessageBytes: number;
  /** PEM contents of the authority (default: the system's authorities); without `tls` the client speaks plaintext. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
  readonly token?: string;
}

/**
 * A typed client of a generated service at host:port. It reconnects by itself, and repeats a call only if it never left
 * this machine. Failures are RetortErrors with the server's code, message and problems.
 */
export function createClient<S extends DescService>(service: S, address: string, options: ClientOptions): Client<S> {
  const { tls, maxMessageBytes, token } = options;
  const credentials = tls
    ? grpc.credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null)
    : grpc.credentials.createInsecure();
  const channel = new grpc.Client(address, credentials, {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    // A lost server is asked again after a second at most, not after grpc-js's two minutes.
    "grpc.max_reconnect_backoff_ms": 1000,
  });
  const metadata = () => {
    const made = new grpc.Metadata();
    for (const [name, value] of Object.entries(traceHeaders())) made.set(name, value);
    if (token !== undefined) made.set("authorization", `Bearer ${token}`);
    return made;
  };
  const methods = service.methods.map((method) => {
    const make = method.methodKind === "unary" ? unaryCaller : streamCaller;
    return [method.localName, make({ channel, method, address, options, metadata })];
  });
  return { ...Object.fromEntries(methods), close: () => channel.close() } as Client<S>;
}

interface Callee {
  readonly channel: grpc.Client;
  readonly method: DescMethod;
  readonly address: string;
  readonly options: ClientOptions;
  readonly metadata: () => grpc.Metadata;
}

function unaryCaller({ channel, method, address, options, metadata }: Callee) {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  return (request: never, { timeoutMs = options.timeoutMs, signal }: CallOptions = {}) =>
    new Promise((resolve, reject) => {
      const message = create(method.input, request);
      let release = () => {};
      const call = channel.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        message,
        metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          release();
          if (error) reject(fromStatus(error, address));
          else resolve(response);
        },
      );
      release = cancelWith(signal, call);
    });
}

function streamCaller({ channel, method, address, metadata }: Callee) {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  return async function* (request: never, { timeoutMs, signal }: CallOptions = {}) {
    const message = create(method.input, request);
    const limits = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    const call = channel.makeServerStreamRequest(path, requestSerialize, responseDeserialize, message, metadata(), limits);
    const release = cancelWith(signal, call);
    try {
      yield* call;
    } catch (error) {
      if (signal?.aborted) return;
      throw fromStatus(error, address);
    } finally {
      release();
      // After an early `break` the call would otherwise go on, and its cancellation be an unhandled error.
      call.on("error", () => {});
      call.cancel();
    }
  };
}

/** Cancels a call when the signal is aborted; returns a function that stops listening to the signal. */
function cancelWith(signal: AbortSignal | undefined, call: { cancel(): void }): () => void {
  const cancel = () => call.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  return () => signal?.removeEventListener("abort", cancel);
}
