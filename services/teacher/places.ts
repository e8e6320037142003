import { setTimeout as sleep } from "node:timers/promises";
import { aborted } from "../shared/base/aborted.js";
import { deferred } from "../shared/base/deferred.js";
import type { Log } from "../shared/base/log.js";
import type { PoolMember } from "../shared/flow/runs/teacher-pools.js";

/** A run's work that broke off is taken up again after this. */
const retryMs = 2000;

/** Works for one run until the signal. @throws what broke the work off */
type Serve = (member: PoolMember, signal: AbortSignal) => Promise<void>;

/**
 * The runs that a process works for. A run has one place at a time: one that leaves and joins again has the next when the last has been
 * finished with.
 */
export class Places {
  readonly #serve: Serve;
  readonly #log: Log;
  readonly #places = new Map<string, { readonly leaving: AbortController; readonly done: Promise<void> }>();
  /** Places that runs have left, and that aren't finished with, by name: each is the last of its name. */
  readonly #left = new Map<string, Promise<void>>();
  readonly #begun = deferred<void>();

  constructor(serve: Serve, log: Log) {
    this.#serve = serve;
    this.#log = log;
  }

  /** Lets work begin: before, runs only wait for it. */
  begin(): void {
    this.#begun.resolve();
  }

  /** Takes up the runs that have joined, and finishes with those that have left; a run that leaves keeps no other from joining. */
  update(members: readonly PoolMember[]): void {
    const named = new Map(members.map((member) => [`${member.runId}/${member.teacher}`, member]));
    for (const [name, member] of named) if (!this.#places.has(name)) this.#places.set(name, this.#open(name, member));
    for (const name of this.#places.keys()) if (!named.has(name)) this.#leave(name);
  }

  /** Finishes with every run. */
  async close(): Promise<void> {
    for (const name of this.#places.keys()) this.#leave(name);
    await Promise.all(this.#left.values());
  }

  #leave(name: string): void {
    const place = this.#places.get(name);
    if (!place) return;
    this.#places.delete(name);
    place.leaving.abort();
    const left = place.done.then(() => {
      if (this.#left.get(name) === left) this.#left.delete(name);
      this.#log.info({ place: name }, "the run has left");
    });
    this.#left.set(name, left);
  }

  #open(name: string, member: PoolMember) {
    const leaving = new AbortController();
    const { signal } = leaving;
    const before = this.#left.get(name);
    const work = async () => {
      await before;
      await Promise.race([this.#begun.promise, aborted(signal)]);
      while (!signal.aborted) {
        try {
          this.#log.info({ place: name }, "a run has joined");
          await this.#serve(member, signal);
        } catch (error) {
          if (signal.aborted) return;
          this.#log.warn({ err: error, place: name }, "the work for a run broke off; it is taken up again");
          await sleep(retryMs, undefined, { signal }).catch(() => {});
        }
      }
    };
    return { leaving, done: work() };
  }
}
