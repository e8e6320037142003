import { Work } from "../../gen/retort/v1/events_pb.js";

/** What a process is at, as its activity says. */
export interface Doing {
  readonly work: Work;
  message: string;
  readonly step: number;
  done: number;
  total: number;
}

/** Seconds of work and of waiting. */
export interface Worked {
  readonly workSeconds: number;
  readonly waitSeconds: number;
}

/**
 * What a process is at, and how long it has worked and waited. It is at what it began last of what isn't over; where all that is
 * in hand waits, it waits.
 */
export class WorkClock {
  readonly #idle: Doing;
  readonly #now: () => number;
  readonly #inHand = new Set<Doing>();
  #sinceMs: number;
  /** What it was at since {@link mostly} was asked last: how long, and the last of each kind of work; with nothing in hand is a kind. */
  readonly #lately = new Map<Work | "idle", { ms: number; doing: Doing }>();
  /** Since it began, and how much of it has been taken. */
  readonly #ms = { work: 0, wait: 0 };
  readonly #takenMs = { work: 0, wait: 0 };

  /** @param idle what it is at with nothing in hand @param now in milliseconds */
  constructor(idle: string, now: () => number = () => performance.now()) {
    this.#idle = { work: Work.WAITING, message: idle, step: 0, done: 0, total: 0 };
    this.#now = now;
    this.#sinceMs = now();
  }

  /** What it is at now. */
  get current(): Doing {
    const all = [...this.#inHand];
    return all.findLast(({ work }) => work !== Work.WAITING) ?? all.at(-1) ?? this.#idle;
  }

  /** It begins something. */
  begin(work: Work, message: string, step: number): Doing {
    this.#settle();
    const doing = { work, message, step, done: 0, total: 0 };
    this.#inHand.add(doing);
    return doing;
  }

  /** Something is over. */
  end(doing: Doing): void {
    this.#settle();
    this.#inHand.delete(doing);
  }

  /** What it has worked and waited since this was asked last. */
  take(): Worked {
    this.#settle();
    const { work, wait } = this.#takenMs;
    Object.assign(this.#takenMs, this.#ms);
    return { workSeconds: (this.#ms.work - work) / 1000, waitSeconds: (this.#ms.wait - wait) / 1000 };
  }

  /** What it has worked and waited since it began. */
  get worked(): Worked {
    this.#settle();
    return { workSeconds: this.#ms.work / 1000, waitSeconds: this.#ms.wait / 1000 };
  }

  /** What it was at for the most part since this was asked last, as it is now. */
  mostly(): Doing {
    this.#settle();
    const [longest] = [...this.#lately.values()].sort((a, b) => b.ms - a.ms);
    this.#lately.clear();
    return longest?.doing ?? this.current;
  }

  #settle(): void {
    const now = this.#now();
    const doing = this.current;
    const ms = now - this.#sinceMs;
    const kind = doing === this.#idle ? "idle" : doing.work;
    this.#lately.set(kind, { ms: (this.#lately.get(kind)?.ms ?? 0) + ms, doing });
    this.#ms[doing.work === Work.WAITING ? "wait" : "work"] += ms;
    this.#sinceMs = now;
  }
}
