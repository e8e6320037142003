import { readFile } from "node:fs/promises";
import { JetStreamApiError, type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect, credsAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { RetortError } from "../errors.js";

export interface StreamsOptions {
  /** nats://host:port, or several separated by commas. */
  readonly url: string;
  /** Name of the client, for the server's logs. */
  readonly name: string;
  /** Path of a credentials file. */
  readonly credentials?: string;
  readonly connectTimeoutMs?: number;
}

/** One process's connection to NATS JetStream. It outlives outages of the server: it reconnects for ever. */
export class Streams {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly kv: Kvm;

  private constructor(connection: NatsConnection, manager: JetStreamManager) {
    this.connection = connection;
    this.js = jetstream(connection, { timeout: 20_000 });
    this.manager = manager;
    this.kv = new Kvm(this.js);
  }

  /** @throws Unavailable naming the URL if no server answers; FailedPrecondition if it has no JetStream */
  static async connect({ url, name, credentials, connectTimeoutMs = 10_000 }: StreamsOptions): Promise<Streams> {
    const authenticator = credentials ? credsAuthenticator(await readFile(credentials)) : undefined;
    const connection = await connect({
      servers: url.split(","),
      name,
      maxReconnectAttempts: -1,
      timeout: connectTimeoutMs,
      ...(authenticator ? { authenticator } : {}),
    }).catch((error: Error) => {
      throw new RetortError(
        "Unavailable",
        `NATS at ${url} cannot be reached (${error.message}); start it (\`retort up\`) or set RETORT_NATS_URL`,
        { cause: error },
      );
    });
    try {
      return new Streams(connection, await jetstreamManager(connection, { timeout: 20_000 }));
    } catch (error) {
      await connection.close();
      throw new RetortError("FailedPrecondition", `NATS at ${url} has no JetStream; start nats-server with -js`, { cause: error });
    }
  }

  /** Sends what is still in the buffer, then closes. */
  async close(): Promise<void> {
    await this.connection.drain().catch(() => this.connection.close());
  }
}

/**
 * JetStream's own errors that we act on, by their number (nats-server errors.json) and, where one number serves for
 * several, their text: 10077 is also what a stream that is full answers.
 */
const apiErrors = {
  wrongLastSequence: { code: 10071 },
  maxMessagesPerSubject: { code: 10077, text: "maximum messages per subject exceeded" },
  noMessageFound: { code: 10037 },
  streamNotFound: { code: 10059 },
  consumerNotFound: { code: 10014 },
} as const satisfies Record<string, { code: number; text?: string }>;

/** True if an error is this one of JetStream's. */
export function isApiError(error: unknown, name: keyof typeof apiErrors): boolean {
  const expected: { readonly code: number; readonly text?: string } = apiErrors[name];
  return error instanceof JetStreamApiError && error.code === expected.code && error.message.includes(expected.text ?? "");
}
