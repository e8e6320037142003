import { readFile } from "node:fs/promises";
import type { DescService } from "@bufbuild/protobuf";
import pRetry from "p-retry";
import { RetortError } from "../errors.js";
import { type CallOptions, type Client, createClient } from "./client.js";
import { type ForeignKind, foreignAddress, foreignToken, type TokenRules } from "./foreign-address.js";

/** How servers of other programs are reached. */
export interface ForeignSettings extends TokenRules {
  readonly kind: ForeignKind;
  /** Path of the authority (PEM) of those at https://; undefined: the system's authorities. */
  readonly tlsCa: string | undefined;
  readonly maxMessageBytes: number;
}

/** How long a server may be waited for. */
export interface Patience {
  /** Milliseconds for which one that is away or busy is asked again; 0 asks once. */
  readonly patienceMs: number;
  /** Gives up at once. */
  readonly signal: AbortSignal;
}

/** Longest time of one call, the least that the last one gets, and the pauses between calls, in milliseconds. */
const [callMs, leastMs, firstPauseMs, longestPauseMs] = [60_000, 5000, 250, 5000];

/** What a server says of itself is kept as far as this. */
const reasonLength = 1000;

/** What may be otherwise a little later. */
const passing = ["Unavailable", "ResourceExhausted", "DeadlineExceeded"];

/** How long a run's step leaves for a server that is away: until there is just time for its failure to be recorded. */
export const patienceWithin = (leftMs: number): number => Math.max(leftMs / 2, leftMs - 15_000, 0);

/** A text of another program, no longer than is worth keeping. */
export const excerpt = (text: string): string => (text.length > reasonLength ? `${text.slice(0, reasonLength)} …` : text);

/** Servers of other programs, each with a connection that is kept; over TLS where an address begins with https://. */
export class ForeignServers<S extends DescService> {
  readonly #service: S;
  readonly #settings: ForeignSettings;
  readonly #clients = new Map<string, Promise<Client<S>>>();

  constructor(service: S, settings: ForeignSettings) {
    this.#service = service;
    this.#settings = settings;
  }

  /**
   * Calls a server. One that is away or busy is called again, with growing pauses, as long as patience lasts.
   *
   * @param sinceMs when patience began, of performance.now(); by default now
   * @throws what the server answers, or why it can't be called
   */
  ask<T>(
    address: string,
    call: (client: Client<S>, options: CallOptions) => Promise<T>,
    { patienceMs, signal }: Patience,
    sinceMs = performance.now(),
  ): Promise<T> {
    const leftMs = () => sinceMs + patienceMs - performance.now();
    const once = async () => {
      const timeoutMs = patienceMs ? Math.max(leastMs, Math.min(callMs, leftMs())) : callMs;
      return call(await this.#client(address), { timeoutMs, signal });
    };
    return pRetry(once, {
      retries: Number.MAX_SAFE_INTEGER,
      minTimeout: firstPauseMs,
      maxTimeout: longestPauseMs,
      randomize: true,
      signal,
      shouldRetry: ({ error }) => {
        const { code, retry } = RetortError.from(error);
        return passing.includes(code) && retry === "later" && leftMs() > firstPauseMs;
      },
    });
  }

  /**
   * Why a server has failed, as a recorded outcome has it.
   *
   * @param sinceMs when it was first called
   * @param gave what it didn't give: "rewards"
   * @throws Cancelled if it was given up on
   */
  failure(error: unknown, address: string, sinceMs: number, gave: string, { signal }: Pick<Patience, "signal">): string {
    const { code, message } = RetortError.from(error);
    if (signal.aborted)
      throw new RetortError("Cancelled", `waiting for the ${this.#settings.kind} server ${address} was stopped`, { cause: error });
    const seconds = ((performance.now() - sinceMs) / 1000).toFixed(1);
    const tried = passing.includes(code) ? `gave no ${gave} for ${seconds} s, however often it was asked` : `gave no ${gave}`;
    return `the server ${tried} (${code}: ${excerpt(message)})`;
  }

  close(): void {
    for (const client of this.#clients.values())
      client.then(
        (open) => open.close(),
        () => {},
      );
  }

  #client(address: string): Promise<Client<S>> {
    const client = this.#clients.get(address) ?? this.#connect(address);
    this.#clients.set(address, client);
    // An authority that cannot be read now may be there at the next call.
    client.catch(() => this.#clients.delete(address));
    return client;
  }

  async #connect(text: string): Promise<Client<S>> {
    const { kind, maxMessageBytes, tlsCa } = this.#settings;
    const address = foreignAddress(text, kind);
    const token = foreignToken(address, kind, this.#settings);
    const tls = address.tls ? { tls: { ca: tlsCa === undefined ? undefined : await readFile(tlsCa) } } : {};
    // A name, or the client would take `unix:1` for a socket of this machine.
    const scheme = /^[[\d]/.test(address.host) ? "" : "dns:";
    const options = { timeoutMs: callMs, maxMessageBytes, token, ...tls };
    return createClient(this.#service, `${scheme}${address.host}:${address.port}`, options);
  }
}
