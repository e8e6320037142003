import { setTimeout as sleep } from "node:timers/promises";
import type { Streams } from "../../base/streams/connection.js";
import type { Delivery } from "../../base/streams/consume.js";
import type { ProcessName, Work } from "../../gen/retort/v1/events_pb.js";
import { publishEvent } from "./events.js";
import { type Doing, WorkClock, type Worked } from "./work-clock.js";

/** How often a process looks whether there is something to tell; it tells at most so often. */
const tickMs = 1000;
/** How often a process tells what it uses. */
const figuresMs = 10_000;
/** A process that lives long tells less often: about so many activities, and as many figures, in each doubling of its life. */
const tellings = 2000;
/** An event of these is not worth a longer wait. */
const patienceMs = 5000;
const closeMs = 2000;

/** What a process is told with nothing in hand, by its role. */
const idleWords: Readonly<Record<string, string>> = {
  learner: "the run's records to be stored",
  student: "prompts",
  teacher: "completions to score",
  reward: "completions to judge",
};

/** Who reports, and where. */
export interface ProcessPlace {
  readonly streams: Streams;
  readonly runId: string;
  readonly process: Pick<ProcessName, "role" | "teacher" | "instance">;
}

/** How far something is. */
export type TellProgress = (done: number, total: number, message?: string) => void;

/**
 * Tells a run's events what a process does and what it uses: what it did for the most part of a second, where that changes, so
 * that short steps don't drown what matters; what it uses every ten seconds, and at its end. Nothing waits for it, and an event
 * that can't be stored is given up.
 */
export class ProcessReporter {
  readonly #place: ProcessPlace;
  readonly #clock: WorkClock;
  readonly #timer: NodeJS.Timeout;
  readonly #startedMs = performance.now();
  readonly #id = `${process.pid}.${Date.now()}`;
  #count = 0;
  #sending: Promise<void> | undefined;
  #told = "";
  #toldMs = Number.NEGATIVE_INFINITY;
  #figuresMs = performance.now();
  #cpu = process.cpuUsage();
  #tokens = 0;
  #queue: { readonly stream: string; readonly durable: string } | undefined;

  constructor(place: ProcessPlace) {
    this.#place = place;
    this.#clock = new WorkClock(idleWords[place.process.role] ?? "");
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
  }

  /** It does something until a promise settles. @param message details, in words @param step 0 for none */
  async during<T>(work: Work, message: string, run: (progress: TellProgress) => Promise<T>): Promise<T>;
  async during<T>(work: Work, message: string, step: number, run: (progress: TellProgress) => Promise<T>): Promise<T>;
  async during<T>(
    work: Work,
    message: string,
    ...rest: [(progress: TellProgress) => Promise<T>] | [number, (progress: TellProgress) => Promise<T>]
  ): Promise<T> {
    const [step, run] = rest.length === 1 ? [0, rest[0]] : rest;
    const doing = this.#clock.begin(work, message, step);
    try {
      return await run((done, total, words) => {
        Object.assign(doing, { done, total, ...(words ? { message: words } : {}) });
      });
    } finally {
      this.#clock.end(doing);
    }
  }

  /** A handler of messages that works while it handles one. */
  handling(work: Work, handle: (delivery: Delivery) => Promise<void>): (delivery: Delivery) => Promise<void> {
    // retort.prompts.<run>.<sampler>.<step>.<task>, and retort.rollouts likewise.
    return (delivery) => this.during(work, ...placeOf(delivery.subject.split(".")[4] ?? ""), () => handle(delivery));
  }

  /** What it has worked and waited since it began. */
  get worked(): Worked {
    return this.#clock.worked;
  }

  /** It has sampled, scored, judged or trained on so many completion tokens. */
  tokens(count: number): void {
    this.#tokens += count;
  }

  /** Its messages come from this queue, whose length it tells. */
  reads(stream: string, durable: string): void {
    this.#queue = { stream, durable };
  }

  /** Tells what it has used since it said so last, and nothing more. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const told = Promise.resolve(this.#sending).then(() => this.#tellFigures());
    // A server that is away keeps no process from its end.
    await Promise.race([told, sleep(closeMs, undefined, { ref: false })]).catch(() => {});
  }

  #tick(): void {
    if (this.#sending) return;
    this.#sending = this.#tell()
      // What wasn't stored is told again if it is still so.
      .catch(() => {
        this.#told = "";
      })
      .finally(() => {
        this.#sending = undefined;
      });
  }

  async #tell(): Promise<void> {
    const now = performance.now();
    const thinned = (now - this.#startedMs) / tellings;
    const doing = this.#clock.mostly();
    const words = JSON.stringify(doing);
    if (words !== this.#told && now - this.#toldMs >= thinned) {
      [this.#told, this.#toldMs] = [words, now];
      await this.#tellActivity(doing);
    }
    if (now - this.#figuresMs >= Math.max(figuresMs, thinned)) await this.#tellFigures();
  }

  #tellActivity({ done, total, ...doing }: Doing): Promise<void> {
    return this.#publish({ case: "activity", value: { ...doing, process: this.#place.process, done: BigInt(done), total: BigInt(total) } });
  }

  async #tellFigures(): Promise<void> {
    const now = performance.now();
    const { user, system } = process.cpuUsage(this.#cpu);
    this.#cpu = process.cpuUsage();
    const seconds = (now - this.#figuresMs) / 1000;
    this.#figuresMs = now;
    const tokens = BigInt(this.#tokens);
    this.#tokens = 0;
    const queued = await this.#queued();
    const value = {
      ...{ process: this.#place.process, seconds, tokens, ...this.#clock.take() },
      cpuSeconds: (user + system) / 1e6,
      residentBytes: BigInt(process.memoryUsage.rss()),
      peakResidentBytes: BigInt(process.resourceUsage().maxRSS) * 1024n,
      ...(queued === undefined ? {} : { queued: BigInt(queued) }),
    };
    await this.#publish({ case: "processFigures", value });
  }

  /** Messages that wait; undefined where that can't be told just now. */
  async #queued(): Promise<number | undefined> {
    if (!this.#queue) return undefined;
    const { stream, durable } = this.#queue;
    const { streams } = this.#place;
    return streams.manager.consumers.info(stream, durable).then(
      ({ num_pending }) => num_pending,
      () => undefined,
    );
  }

  #publish(event: Parameters<typeof publishEvent>[2]): Promise<void> {
    const { streams, runId } = this.#place;
    return publishEvent(streams, runId, event, `${event.case}/${this.#id}/${this.#count++}`, patienceMs);
  }
}

/** What a step token of a subject means: in words, and the step. */
export function placeOf(token: string): [words: string, step: number] {
  const step = Number(token.replace(/^[ed]/, ""));
  if (token.startsWith("e")) return [`the evaluation of version ${step}`, step];
  return token.startsWith("d") ? ["the dataset's texts", 0] : [`step ${step}`, step];
}
