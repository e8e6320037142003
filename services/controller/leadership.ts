import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { deferred } from "../shared/base/deferred.js";
import { RetortError } from "../shared/base/errors.js";
import type { Service } from "../shared/base/lifecycle.js";
import type { Log } from "../shared/base/log.js";
import { isAlive } from "../shared/base/processes.js";
import type { Streams } from "../shared/base/streams/connection.js";
import { type Entry, KeyValue } from "../shared/base/streams/key-value.js";

/** What a controller holds the lead with. */
export interface LeadershipOptions {
  readonly streams: Streams;
  readonly log: Log;
  /** How often the leader renews its claim. Default 3000. */
  readonly renewMs?: number;
  /** A claim that was not renewed for so long is another's to take. Default 12000. */
  readonly expiryMs?: number;
}

/** No run has an id that begins so. */
const key = "_controller.leader";

/** Who holds a claim: the host (in a cluster the pod) and the process. */
interface Holder {
  readonly host: string;
  readonly pid: number;
}

const holderOf = ({ value }: Entry): Holder => {
  const [, host = "", pid = ""] = /^(.*)\/(\d+)\/\d+$/.exec(new TextDecoder().decode(value)) ?? [];
  return { host, pid: Number(pid) };
};

/** A process of this machine that is gone, or one before this in the same container, renews nothing any more. */
const isGone = ({ host, pid }: Holder): boolean => host === hostname() && (pid === process.pid || !isAlive(pid));

/**
 * One controller of an installation leads: it launches runs and ends them, and answers calls; the others wait to take its place. The lead is a
 * claim in NATS (bucket `retort_runs`), changed by compare-and-set alone, so that there is one at a time. Clocks aren't compared: a
 * controller takes over when it has seen a claim unchanged for `expiryMs`. A leader that was frozen for longer learns at its next renewal
 * that it is none; what it launches until then is what the other one finds.
 */
export class Leadership {
  readonly #kv: KeyValue;
  readonly #options: Required<LeadershipOptions>;
  readonly #closing = new AbortController();
  readonly #lost = deferred<never>();
  #renewing: Promise<void> | undefined;
  #count = 0;
  /** Rejects when another controller has taken over. */
  readonly lost: Promise<never> = this.#lost.promise;

  private constructor(kv: KeyValue, { renewMs = 3000, expiryMs = 12_000, ...options }: LeadershipOptions) {
    this.#kv = kv;
    this.#options = { ...options, renewMs, expiryMs };
    this.lost.catch(() => {});
  }

  static async open(options: LeadershipOptions): Promise<Leadership> {
    return new Leadership(await KeyValue.open(options.streams, "retort_runs"), options);
  }

  /** Who leads, in words; undefined if nobody does. */
  async leader(): Promise<string | undefined> {
    const entry = await this.#kv.get(key);
    if (!entry) return undefined;
    const { host, pid } = holderOf(entry);
    return `${host}, process ${pid}`;
  }

  /** Comes back once this controller leads. @throws Cancelled if it is closed before */
  async acquire(): Promise<void> {
    const { log, expiryMs, renewMs } = this.#options;
    let seen: { readonly revision: number; readonly atMs: number } | undefined;
    while (!this.#closing.signal.aborted) {
      const entry = await this.#kv.get(key);
      if (entry && entry.revision !== seen?.revision) {
        if (!seen) log.info({ leader: holderOf(entry) }, "another controller leads, or has led a moment ago");
        seen = { revision: entry.revision, atMs: performance.now() };
      }
      const isFree = !entry || isGone(holderOf(entry)) || (seen !== undefined && performance.now() - seen.atMs > expiryMs);
      if (isFree && (await this.#claim(entry))) {
        log.info("this controller leads");
        this.#renewing = this.#renew();
        return;
      }
      await sleep(renewMs / 3, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
    throw new RetortError("Cancelled", "the controller was stopped before it led");
  }

  /** Gives the lead back, if this controller has it: another one takes it at once. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (!this.#renewing) return;
    await this.#renewing;
    const entry = await this.#kv.get(key);
    if (entry && this.#isOwn(entry)) await this.#kv.delete(key, entry.revision);
  }

  async #renew(): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      await sleep(this.#options.renewMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        const entry = await this.#kv.get(key);
        if ((!entry || this.#isOwn(entry)) && (await this.#claim(entry))) continue;
        const leader = await this.leader();
        this.#lost.reject(
          new RetortError("Aborted", `another controller leads now (${leader ?? "it has gone since"})`, { retry: "later" }),
        );
        return;
      } catch (error) {
        // Who can't reach NATS renews nothing, and nobody else takes anything there.
        this.#options.log.warn({ err: error }, "the lead could not be renewed; trying again");
      }
    }
  }

  /** Claims the lead in place of what was read. Returns false if another was faster. */
  async #claim(before: Entry | undefined): Promise<boolean> {
    const value = new TextEncoder().encode(`${hostname()}/${process.pid}/${++this.#count}`);
    try {
      await (before ? this.#kv.update(key, value, before.revision) : this.#kv.create(key, value));
      return true;
    } catch (error) {
      if (!["Aborted", "AlreadyExists"].includes(RetortError.from(error).code)) throw error;
      // An attempt whose answer was lost may have succeeded.
      const now = await this.#kv.get(key);
      return now !== undefined && Buffer.compare(now.value, value) === 0;
    }
  }

  #isOwn(entry: Entry): boolean {
    const { host, pid } = holderOf(entry);
    return host === hostname() && pid === process.pid;
  }
}

/** The lead of a process: from its start on it leads, or waits to. */
export class Lead implements Service {
  readonly name = "lead";
  readonly #streams: () => Streams;
  readonly #log: Log;
  readonly #lost = deferred<never>();
  #leadership: Leadership | undefined;
  isHeld = false;

  constructor(streams: () => Streams, log: Log) {
    this.#streams = streams;
    this.#log = log;
  }

  /** Rejects when another controller has taken over. */
  get lost(): Promise<never> {
    return this.#lost.promise;
  }

  async start(): Promise<void> {
    this.#leadership = await Leadership.open({ streams: this.#streams(), log: this.#log });
    await this.#leadership.acquire();
    this.#leadership.lost.catch(this.#lost.reject);
    this.isHeld = true;
  }

  async stop(): Promise<void> {
    await this.#leadership?.close();
  }
}
