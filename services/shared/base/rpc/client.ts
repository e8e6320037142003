import { create, type DescMessage, type DescMethod, type DescService, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import grpc from "@grpc/grpc-js";
import { methodDefinition } from "./service-definition.js";
import { fromStatus } from "./status.js";

export interface CallOptions {
  /** Default: the client's. */
  readonly timeoutMs?: number;
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

export interface ClientOptions {
  /** Deadline of unary calls. Streams have none unless asked. */
  readonly timeoutMs: number;
  readonly maxMessageBytes: number;
  /** PEM contents of the authority; without it the client speaks plaintext. */
  readonly tls?: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
  readonly token?: string;
}

/** A typed client of a generated service at host:port. It reconnects by itself, and retries what never left. */
export function createClient<S extends DescService>(service: S, address: string, options: ClientOptions): Client<S> {
  const { tls, maxMessageBytes } = options;
  const credentials = tls ? grpc.credentials.createSsl(tls.ca, tls.key ?? null, tls.cert ?? null) : grpc.credentials.createInsecure();
  const inner = new grpc.Client(address, credentials, {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
  });
  const metadata = () => {
    const made = new grpc.Metadata();
    if (options.token) made.set("authorization", `Bearer ${options.token}`);
    return made;
  };
  const methods = service.methods.map((method) => [method.localName, caller(inner, method, address, options, metadata)]);
  return { ...Object.fromEntries(methods), close: () => inner.close() } as Client<S>;
}

function caller(inner: grpc.Client, method: DescMethod, address: string, options: ClientOptions, metadata: () => grpc.Metadata) {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  const deadline = (timeoutMs: number | undefined) => (timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs });
  if (method.methodKind === "unary") {
    return (request: never, call: CallOptions = {}) =>
      new Promise((resolve, reject) => {
        const message = create(method.input, request);
        const timeout = deadline(call.timeoutMs ?? options.timeoutMs);
        const running = inner.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          message,
          metadata(),
          timeout,
          (error, response) => (error ? reject(fromStatus(error, address)) : resolve(response)),
        );
        call.signal?.addEventListener("abort", () => running.cancel(), { once: true });
      });
  }
  return async function* (request: never, call: CallOptions = {}) {
    const message = create(method.input, request);
    const stream = inner.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      message,
      metadata(),
      deadline(call.timeoutMs),
    );
    call.signal?.addEventListener("abort", () => stream.cancel(), { once: true });
    try {
      yield* stream;
    } catch (error) {
      if (call.signal?.aborted) return;
      throw fromStatus(error, address);
    } finally {
      stream.cancel();
    }
  };
}
