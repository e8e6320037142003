import { JetStreamApiError } from "@nats-io/jetstream";
import { headers, RequestError } from "@nats-io/transport-node";
import pRetry from "p-retry";
import { RetortError } from "../errors.js";
import { traceHeaders } from "../tracing.js";
import { isApiError, isDenied, type Streams } from "./connection.js";

/** How a message is published. */
export interface PublishOptions {
  /** The server drops a second message with this id within its duplicate window. */
  readonly messageId: string;
  /** How long to keep trying while the server is away or the stream is full. Default: the connection's patience. */
  readonly timeoutMs?: number;
}

/** What became of a message. */
export type Published = "stored" | "duplicate" | "refused";

/** Patience of one attempt: short at first, since an acknowledgement can get lost. */
const attemptTimeoutMs = (attempt: number): number => Math.min(20_000, 2500 * 2 ** attempt);

/**
 * Publishes to a stream and waits until it is stored. While the server is away or the stream is full, the same message
 * is tried again under the same id. The trace at hand goes along in the headers.
 *
 * @returns `stored`; `duplicate` if the server has a message of this id already, with whatever bytes; `refused` if the
 *   stream holds one message per subject and has one already
 * @throws InvalidArgument if the message exceeds what the server takes, PermissionDenied if the user may not publish it; after `timeoutMs` ResourceExhausted if the
 *   stream is full, FailedPrecondition if no stream has the subject, else Unavailable
 */
export async function publish(streams: Streams, subject: string, data: Uint8Array, options: PublishOptions): Promise<Published> {
  const { messageId, timeoutMs = streams.patienceMs } = options;
  checkSize(streams, subject, data);
  const trace = headers();
  for (const [name, value] of Object.entries(traceHeaders())) trace.set(name, value);
  const send = async (attempt: number) => {
    try {
      const request = { msgID: messageId, headers: trace, timeout: attemptTimeoutMs(attempt) };
      const { duplicate } = await streams.live(() => streams.js.publish(subject, data, request), timeoutMs);
      return duplicate ? ("duplicate" as const) : ("stored" as const);
    } catch (error) {
      if (isApiError(error, "maxMessagesPerSubject")) return "refused" as const;
      throw error;
    }
  };
  const patience = {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 50,
    maxTimeout: 2000,
    maxRetryTime: timeoutMs,
    shouldRetry: ({ error }: { error: Error }) => !isDenied(error) && !streams.givenUp,
  };
  return pRetry(send, patience).catch((error: Error) => {
    throw explain(error, subject, timeoutMs);
  });
}

function checkSize(streams: Streams, subject: string, data: Uint8Array): void {
  const limit = streams.connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
  if (data.length <= limit) return;
  const way = "use fewer prompts per task (rollouts.promptsPerTask) or a smaller signal (top_k)";
  const message = `a record of ${data.length} bytes for ${subject} exceeds the NATS server's max_payload of ${limit} bytes; ${way}`;
  throw new RetortError("InvalidArgument", message);
}

function explain(error: Error, subject: string, timeoutMs: number): RetortError {
  if (isDenied(error)) return RetortError.from(error);
  const failed = `${subject} could not be stored within ${timeoutMs} ms`;
  if (error.cause instanceof RequestError && error.cause.isNoResponders())
    return new RetortError("FailedPrecondition", `${failed}: no stream has this subject`, { cause: error });
  if (error instanceof JetStreamApiError) {
    const message = `${failed}: its stream refuses it (${error.message}); raise the stream's byte limit or start more consumers`;
    return new RetortError("ResourceExhausted", message, { cause: error });
  }
  return new RetortError("Unavailable", `${failed}: ${error.message}; is the NATS server running?`, { cause: error });
}
