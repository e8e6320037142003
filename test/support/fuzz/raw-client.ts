import type { DescMethod } from "@bufbuild/protobuf";
import grpc from "@grpc/grpc-js";

/** How a raw call ended: its status, and the bytes of its answers. */
export interface RawAnswer {
  readonly code: number;
  readonly details: string;
  readonly trailers: readonly (string | Buffer)[];
  readonly answers: readonly Buffer[];
  readonly ms: number;
}

/** Limits and oddities of one raw call. */
export interface RawOptions {
  readonly deadlineMs: number;
  readonly metadata?: Readonly<Record<string, string | Buffer>>;
  /** Cancels the call after so long. */
  readonly cancelAfterMs?: number;
}

/** Calls that send whatever bytes they are given. */
export class RawClient {
  readonly #client: grpc.Client;

  constructor(port: number) {
    const limit = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
    this.#client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), limit);
  }

  /** The bytes that a method answers with; never throws. */
  call(method: Pick<DescMethod, "name" | "parent" | "methodKind">, bytes: Buffer, options: RawOptions): Promise<RawAnswer> {
    const { deadlineMs, metadata = {}, cancelAfterMs } = options;
    const path = `/${method.parent.typeName}/${method.name}`;
    const headers = new grpc.Metadata();
    for (const [name, value] of Object.entries(metadata)) headers.add(name, value);
    const answers: Buffer[] = [];
    const same = (data: Buffer) => data;
    const started = performance.now();
    return new Promise((resolve) => {
      const deadline = { deadline: Date.now() + deadlineMs };
      const call =
        method.methodKind === "unary"
          ? this.#client.makeUnaryRequest(path, same, same, bytes, headers, deadline, (_, answer) => answer && answers.push(answer))
          : this.#client.makeServerStreamRequest(path, same, same, bytes, headers, deadline);
      if ("on" in call && method.methodKind !== "unary") {
        const stream = call as grpc.ClientReadableStream<Buffer>;
        stream.on("data", (data: Buffer) => answers.push(data));
        stream.on("error", () => {});
      }
      let timer: NodeJS.Timeout | undefined;
      call.once("status", ({ code, details, metadata: trailers }: grpc.StatusObject) => {
        clearTimeout(timer);
        const values = Object.keys(trailers.getMap()).flatMap((name) => trailers.get(name));
        setImmediate(() => resolve({ code, details, trailers: values, answers, ms: performance.now() - started }));
      });
      if (cancelAfterMs !== undefined) timer = setTimeout(() => call.cancel(), cancelAfterMs);
    });
  }

  close(): void {
    this.#client.close();
  }
}
