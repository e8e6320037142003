import { EventEmitter, once } from "node:events";
import { readFile } from "node:fs/promises";
import { JetStreamApiError, type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { AuthorizationError, connect, credsAuthenticator, type NatsConnection, PermissionViolationError } from "@nats-io/transport-node";
import { type Deferred, deferred } from "../deferred.js";
import { RetortError } from "../errors.js";
import { inboxOf, type NatsLogin, readLogin } from "../nats-users.js";
import { redactUrl } from "../redact-url.js";
import type { ProcessSettings } from "../settings.js";

/** Where NATS is and how to get in. */
export interface StreamsOptions {
  /** nats://host:port, or several separated by commas; the first may name user and password, or a token, before its host. */
  readonly url: string;
  /** Name of the client, for the server's logs. */
  readonly name: string;
  /** Path of a credentials file. */
  readonly credentials?: string;
  /** The role's user; it also has an inbox of its own. */
  readonly login?: NatsLogin;
  /** Paths of PEM files: the servers' authority, and this client's certificate and key where the servers ask for one. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Servers that keep each stream and bucket; undefined: one, and what is there already stays as it is. */
  readonly replicas?: number;
  readonly connectTimeoutMs?: number;
  /** How long requests outlast a server that is away or full. Default 60000. */
  readonly patienceMs?: number;
}

/**
 * How the settings of a process say to connect.
 *
 * @param role whose login it uses, where there are logins
 * @throws FailedPrecondition if the login cannot be read
 */
export function streamsOptions(settings: ProcessSettings, name: string, role = name): StreamsOptions {
  const { nats, natsCredentials, natsLogins, natsTlsCa, natsTlsCert, natsTlsKey, natsReplicas: replicas } = settings;
  if ((natsTlsCert === undefined) !== (natsTlsKey === undefined))
    throw new RetortError("InvalidArgument", "--nats-tls-cert and --nats-tls-key belong together; give both");
  const tls = natsTlsCa || natsTlsCert ? { ca: natsTlsCa, cert: natsTlsCert, key: natsTlsKey } : undefined;
  const login = natsLogins === undefined ? undefined : readLogin(natsLogins, role);
  return { url: nats, name, credentials: natsCredentials, login, tls, replicas };
}

/** How long JetStream may take to answer one request. */
const apiTimeoutMs = 10_000;

/**
 * How long it may take to answer one that only reads. Of several servers, one that was lost a moment ago is still given readers to make,
 * and a stream that was made a moment ago has no leader: nobody answers, and the next attempt goes elsewhere.
 */
const readTimeoutMs = 2500;

/** One process's connection to NATS JetStream. It outlives outages of the server: it reconnects for ever. */
export class Streams {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly manager: JetStreamManager;
  /** The same for what only reads, and is asked for again soon. */
  readonly reads: { readonly js: JetStreamClient; readonly manager: JetStreamManager };
  readonly kv: Kvm;
  /** How long requests outlast a server that is away or full. */
  readonly patienceMs: number;
  /** Servers that keep each stream and bucket, where that is said. */
  readonly replicas: number | undefined;
  #connected = true;
  /** When waiting for a lost server is over. */
  #deadline = Number.POSITIVE_INFINITY;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  /** Who it is, as in a sentence. */
  readonly #user: string;
  readonly #denied: Deferred<RetortError> = deferred();

  private constructor(
    connection: NatsConnection,
    managers: Record<"all" | "reads", JetStreamManager>,
    { patienceMs, user, replicas }: { readonly patienceMs: number; readonly user: string; readonly replicas: number | undefined },
  ) {
    this.connection = connection;
    this.js = jetstream(connection, { timeout: apiTimeoutMs });
    this.manager = managers.all;
    this.reads = { js: jetstream(connection, { timeout: readTimeoutMs }), manager: managers.reads };
    this.kv = new Kvm(this.js);
    this.patienceMs = patienceMs;
    this.replicas = replicas;
    this.#user = user;
    void this.#watch();
  }

  async #watch(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === "error" && status.error instanceof PermissionViolationError) this.#denied.resolve(this.#denial(status.error));
      if (status.type === "disconnect") this.#connected = false;
      else if (status.type === "reconnect") this.#connected = true;
      else continue;
      this.#changes.emit("change");
    }
    this.#connected = false;
    this.#changes.emit("change");
  }

  /**
   * Settles with a PermissionDenied, which names user and subject, when the server first refuses to let this connection publish or listen: also
   * where nobody waits for an answer, as to an acknowledgement. It doesn't pass by itself: the process should fail.
   */
  get denied(): Promise<RetortError> {
    return this.#denied.promise;
  }

  #denial(violation: PermissionViolationError): RetortError {
    const act = violation.operation === "publish" ? "publish to" : "listen to";
    return new RetortError(
      "PermissionDenied",
      `NATS doesn't let ${this.#user} ${act} ${violation.subject}; give it that right in the server's list of users, which must be that of this version of Retort (in the chart: the ConfigMap of nats-users)`,
      { cause: violation },
    );
  }

  /**
   * Runs a request on a live connection: waits for one first, and gives up as soon as it is lost, since an answer that
   * was under way then never comes. Only for requests that may be repeated.
   *
   * @throws Unavailable if the connection is lost, or not there within `waitMs`; PermissionDenied if the server refuses it
   */
  async live<T>(request: () => Promise<T>, waitMs: number): Promise<T> {
    if (!this.#connected && !this.givenUp) await this.#change(waitMs);
    if (!this.#connected) throw new RetortError("Unavailable", `the NATS server is away (waited ${waitMs} ms)`);
    const done = new AbortController();
    const lost = once(this.#changes, "change", { signal: done.signal }).then(() => {
      throw new RetortError("Unavailable", "the connection to the NATS server was lost");
    });
    lost.catch(() => {});
    const refused = (error: Error & { readonly cause?: unknown }): never => {
      const violation = [error, error.cause].find((one) => one instanceof PermissionViolationError);
      throw violation ? this.#denial(violation) : error;
    };
    return Promise.race([request().catch(refused), lost]).finally(() => done.abort());
  }

  /** For a process that is asked to stop: from now on nothing waits longer than this for a server that is away. */
  hurry(patienceMs: number): void {
    this.#deadline = Date.now() + patienceMs;
    setTimeout(() => this.#changes.emit("hurry"), patienceMs + 1).unref();
  }

  /** True once a lost server is waited for no more. */
  get givenUp(): boolean {
    return !this.#connected && Date.now() >= this.#deadline;
  }

  async #change(waitMs: number): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, AbortSignal.timeout(waitMs)]);
    const event = (name: string) => once(this.#changes, name, { signal }).catch(() => {});
    await Promise.race([event("change"), event("hurry")]);
    over.abort();
  }

  /** @throws Unavailable naming the URL if no server answers; FailedPrecondition if it has no JetStream */
  static async connect(options: StreamsOptions): Promise<Streams> {
    const { name, credentials, login, tls, connectTimeoutMs = 10_000, patienceMs = 60_000, replicas } = options;
    const { servers, access } = serversOf(options.url);
    const url = redactUrl(options.url);
    const authenticator = credentials ? credsAuthenticator(await readFile(credentials)) : undefined;
    const named = login?.user ?? access.user;
    const user = credentials ? `the user of ${credentials}` : named === undefined ? "this process" : `the user "${named}"`;
    const connection = await connect({
      servers,
      name,
      maxReconnectAttempts: -1,
      timeout: connectTimeoutMs,
      ...(authenticator ? { authenticator } : (login ?? access)),
      ...(login ? { inboxPrefix: inboxOf(login.user) } : {}),
      ...(tls ? { tls: { caFile: tls.ca, certFile: tls.cert, keyFile: tls.key } } : {}),
    }).catch((error: Error) => {
      if (error instanceof AuthorizationError) throw notLetIn(url, error, login?.user);
      throw new RetortError(
        "Unavailable",
        `NATS at ${url} cannot be reached (${error.message}); start it (\`retort up\`) or set RETORT_NATS_URL`,
        { cause: error },
      );
    });
    try {
      const all = await jetstreamManager(connection, { timeout: apiTimeoutMs });
      const reads = await jetstreamManager(connection, { timeout: readTimeoutMs, checkAPI: false });
      return new Streams(connection, { all, reads }, { patienceMs, user, replicas });
    } catch (error) {
      await connection.close();
      throw new RetortError("FailedPrecondition", `NATS at ${url} has no JetStream; start nats-server with -js`, { cause: error });
    }
  }

  /** Calls back when the connection is lost; returns what stops that. */
  onLost(callback: () => void): () => void {
    const changed = () => this.#connected || callback();
    this.#changes.on("change", changed);
    return () => this.#changes.off("change", changed);
  }

  /** Sends what is still in the buffer, then closes. */
  async close(): Promise<void> {
    // What is in the buffer of a connection that is lost goes nowhere.
    if (this.#connected) await this.connection.drain().catch(() => this.connection.close());
    else await this.connection.close();
  }
}

/** The servers of a URL without who logs in, and that. */
function serversOf(urls: string): { servers: string[]; access: { user?: string; pass?: string; token?: string } } {
  const servers: string[] = [];
  let access = {};
  for (const url of urls.split(/,(?=[^,@]*:\/\/)|,(?!.*@)/)) {
    const [, scheme = "", user, pass, host = url] = /^\s*(\w+:\/\/)?(?:([^:]*)(?::(.*))?@)?(.*?)\s*$/s.exec(url) ?? [];
    servers.push(scheme + host);
    if (user && Object.keys(access).length === 0)
      access = pass === undefined ? { token: plain(user) } : { user: plain(user), pass: plain(pass) };
  }
  return { servers, access };
}

/** Without percent signs that stand for characters; one that stands for none is meant. */
function plain(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const notLetIn = (url: string, cause: Error, user: string | undefined): RetortError =>
  new RetortError(
    "Unavailable",
    `NATS at ${url} doesn't let ${user === undefined ? "this process" : `the user ${user}`} in (${cause.message}); name user and password in RETORT_NATS_URL (nats://user:password@host:port), or set --nats-credentials or --nats-logins`,
    { cause },
  );

/**
 * JetStream's own errors that we act on, by their number (nats-server errors.json) and, where one number serves for
 * several, their text: 10077 is also what a stream that is full answers.
 */
const apiErrors = {
  accountResourcesExceeded: { code: 10002 },
  insufficientStorage: { code: 10047 },
  wrongLastSequence: { code: 10071 },
  maxMessagesPerSubject: { code: 10077, text: "maximum messages per subject exceeded" },
  noMessageFound: { code: 10037 },
  noPeerWithRoom: { code: 10005, text: "insufficient storage" },
  noPeers: { code: 10005 },
  notClustered: { code: 10074 },
  streamNotFound: { code: 10059 },
  consumerNotFound: { code: 10014 },
  consumerExists: { code: 10148 },
} as const satisfies Record<string, { code: number; text?: string }>;

/** True if an error is this one of JetStream's. */
export function isApiError(error: unknown, name: keyof typeof apiErrors): boolean {
  const expected: { readonly code: number; readonly text?: string } = apiErrors[name];
  return error instanceof JetStreamApiError && error.code === expected.code && error.message.includes(expected.text ?? "");
}

/** True for what {@link Streams.live} makes of a refusal: no other try mends it. */
export const isDenied = (error: unknown): boolean => error instanceof RetortError && error.code === "PermissionDenied";
