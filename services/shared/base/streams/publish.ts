import pRetry, { AbortError } from "p-retry";
import { RetortError } from "../errors.js";
import { isApiError, type Streams } from "./connection.js";

export interface PublishOptions {
  /** The server drops a second message with this id within its duplicate window. */
  readonly messageId: string;
  /** How long to keep trying while the server is away. Default 60000. */
  readonly timeoutMs?: number;
}

/**
 * Publishes to a stream and waits until it is stored. While the server is away the same message is tried again under
 * the same id.
 *
 * @returns `stored`, or `refused` if the stream holds one message per subject and has one already
 * @throws InvalidArgument if the message exceeds what the server takes; Unavailable after `timeoutMs`
 */
export async function publish(streams: Streams, subject: string, data: Uint8Array, options: PublishOptions): Promise<"stored" | "refused"> {
  const limit = streams.connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
  if (data.length > limit) {
    throw new RetortError(
      "InvalidArgument",
      `a record of ${data.length} bytes for ${subject} exceeds the NATS server's max_payload of ${limit}; use fewer prompts per task (rollouts.promptsPerTask) or a smaller signal (top_k)`,
    );
  }
  const send = async () => {
    try {
      await streams.js.publish(subject, data, { msgID: options.messageId });
      return "stored" as const;
    } catch (error) {
      if (isApiError(error, "maxMessagesPerSubject")) return "refused" as const;
      if (isApiError(error, "streamNotFound")) throw new AbortError(error as Error);
      throw error;
    }
  };
  try {
    return await pRetry(send, {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 100,
      maxTimeout: 2000,
      maxRetryTime: options.timeoutMs ?? 60_000,
    });
  } catch (error) {
    throw new RetortError("Unavailable", `${subject} could not be stored: ${(error as Error).message}`, { cause: error });
  }
}
