import pLimit, { type LimitFunction } from "p-limit";
import type { Streams } from "../../shared/base/streams/connection.js";
import { RunHistory } from "../../shared/flow/history/run-history.js";
import type { Report } from "../../shared/flow/runs/aside.js";
import { lastEvent, watchEvents } from "../../shared/flow/runs/events.js";

/** Bytes of histories that are kept: each is read again from the stream otherwise. */
const mostBytes = 2 ** 27;
/** Bytes that a point of a curve takes, and a token of a sample. */
const [pointBytes, tokenBytes] = [8, 160];

interface Kept {
  readonly history: RunHistory;
  readonly turn: LimitFunction;
}

/** The histories of runs that were asked for of late, each as far as it has been read: the next question reads on from there. */
export class Histories {
  readonly #streams: Streams;
  readonly #report: Report | undefined;
  /** The one that was asked for last is at the end. */
  readonly #kept = new Map<string, Kept>();

  constructor(streams: Streams, report?: Report) {
    this.#streams = streams;
    this.#report = report;
  }

  /** What a run's events say until now. */
  async of(runId: string): Promise<RunHistory> {
    const kept = this.#kept.get(runId) ?? { history: new RunHistory({ examples: false }), turn: pLimit(1) };
    this.#kept.delete(runId);
    this.#kept.set(runId, kept);
    await kept.turn(() => this.#readOn(runId, kept.history));
    this.#makeRoom();
    return kept.history;
  }

  async #readOn(runId: string, history: RunHistory): Promise<void> {
    const last = await lastEvent(this.#streams, runId);
    if (last <= history.sequence) return;
    const enough = new AbortController();
    for await (const event of watchEvents(this.#streams, runId, history.sequence + 1, enough.signal, this.#report)) {
      history.push(event);
      if (Number(event.sequence) >= last) enough.abort();
    }
  }

  /** Lets go of those that were asked for longest ago. */
  #makeRoom(): void {
    let bytes = [...this.#kept.values()].reduce((sum, { history }) => sum + sizeOf(history), 0);
    for (const [runId, { history }] of this.#kept) {
      if (bytes <= mostBytes || this.#kept.size === 1) return;
      this.#kept.delete(runId);
      bytes -= sizeOf(history);
    }
  }
}

function sizeOf({ figures, samples }: RunHistory): number {
  const tokens = samples.reduce((sum, recorded) => sum + recorded.samples.reduce((own, sample) => own + sample.tokens.length, 0), 0);
  const points = [...figures.values()].reduce((sum, { values }) => sum + values.length, 0);
  return points * pointBytes + tokens * tokenBytes;
}
