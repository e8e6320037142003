import { JetStreamApiError, JetStreamError } from "@nats-io/jetstream";
import { RequestError } from "@nats-io/transport-node";
import pRetry from "p-retry";
import { RetortError } from "../errors.js";
import { isApiError, type Streams } from "./connection.js";

/**
 * Repeats a request while the server is away, or has no room on its disk: for requests that may be done twice.
 *
 * @param what what is asked for, for the error: "retort_runs/my-run"
 * @param full false lets the answer of a server that is full pass at once
 * @throws Unavailable if the server stays away longer than the connection's patience, ResourceExhausted if its disk stays full
 */
export function outlast<T>(streams: Streams, what: string, request: () => Promise<T>, { full = true } = {}): Promise<T> {
  const { patienceMs } = streams;
  return pRetry(() => streams.live(request, patienceMs), {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 50,
    maxTimeout: 2000,
    maxRetryTime: patienceMs,
    shouldRetry: ({ error }) => (isAway(error) || (full && isFull(error))) && !streams.givenUp,
  }).catch((error: Error) => {
    if (full && isFull(error))
      throw new RetortError(
        "ResourceExhausted",
        `${what}: the NATS server has had no room for ${patienceMs} ms (${error.message}); free its disk`,
        {
          cause: error,
        },
      );
    if (isAway(error))
      throw new RetortError("Unavailable", `${what}: no answer from NATS within ${patienceMs} ms (${error.message})`, { cause: error });
    throw error;
  });
}

/** True for what a server that is away, or that has just come back, answers, and servers that have no leader for the moment. */
function isAway(error: Error): boolean {
  const noResponders = [error, error.cause].some((e) => (e instanceof RequestError && e.isNoResponders()) || isUnanswered(e));
  const leaderless = error instanceof JetStreamApiError && leaderlessCodes.has(error.code);
  return noResponders || leaderless || ["Unavailable", "DeadlineExceeded"].includes(RetortError.from(error).code);
}

/** True for what a reader says whose server is lost. */
const isUnanswered = (error: unknown): boolean => error instanceof JetStreamError && "code" in error && error.code === 503;

/** nats-server errors.json: temporarily unavailable, not the leader, stream is offline, consumer is offline. */
const leaderlessCodes: ReadonlySet<number> = new Set([10008, 10009, 10118, 10119]);

/** True for what a server answers whose disk is full, or whose JetStream stopped for that. */
function isFull(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError) || isApiError(error, "maxMessagesPerSubject")) return false;
  return fullCodes.has(error.code);
}

/** nats-server errors.json: insufficient resources, storage resources exceeded, JetStream not enabled, the store failed. */
const fullCodes: ReadonlySet<number> = new Set([10023, 10047, 10076, 10077]);
