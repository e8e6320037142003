import type { Activity, ProcessFigures, ProcessName, Work } from "../../gen/retort/v1/events_pb.js";
import { processValues } from "./figures.js";
import { type Point, type Series, SeriesTable } from "./series.js";

/** What a process did for a while. */
export interface Span {
  readonly work: Work;
  readonly message: string;
  /** The step it belongs to; 0 for none. */
  readonly step: number;
  /** Seconds since the run's first event. */
  readonly from: number;
  /** Undefined while it goes on. */
  to: number | undefined;
  /** How much of it is done; 0 of 0 where that isn't known. */
  done: number;
  total: number;
}

/** Spans that are kept of a process: its newest. */
const maxSpans = 5000;

/** One key per process of a run. */
export const processKey = (process: ProcessName | undefined): string =>
  [process?.role, process?.teacher, process?.instance].filter(Boolean).join("/");

/** A process of a run: what it was at, and what it used. */
export class ProcessHistory {
  readonly role: string;
  /** Which teacher; empty for any other role. */
  readonly teacher: string;
  readonly instance: string;
  /** What it did, oldest first; at most the newest 5000. */
  readonly spans: Span[] = [];
  /** What it said last of what it uses. */
  latest: ProcessFigures | undefined;
  /** When it was heard of last, in seconds since the run's first event. */
  lastSeconds = 0;
  readonly #table = new SeriesTable();

  constructor({ role, teacher, instance }: Pick<ProcessName, "role" | "teacher" | "instance">) {
    this.role = role;
    this.teacher = teacher;
    this.instance = instance;
  }

  /** What it used over time, by the fields of ProcessFigures; `steps` are the run's. */
  get figures(): ReadonlyMap<string, Series> {
    return this.#table.series();
  }

  /** What it is at; undefined if that isn't known, or it has ended. */
  get current(): Span | undefined {
    const last = this.spans.at(-1);
    return last?.to === undefined ? last : undefined;
  }

  /** It does something from now on, or has done more of it. */
  does({ work, message, step, done, total }: Activity, seconds: number): void {
    this.lastSeconds = seconds;
    const { current } = this;
    if (current?.work === work && current.message === message && current.step === step) {
      current.done = Number(done);
      current.total = Number(total);
      return;
    }
    if (current) current.to = seconds;
    this.spans.push({ work, message, step, from: seconds, to: undefined, done: Number(done), total: Number(total) });
    if (this.spans.length > maxSpans) this.spans.shift();
  }

  /** It has used this. */
  uses(figures: ProcessFigures, point: Point): void {
    this.lastSeconds = point.seconds;
    this.latest = figures;
    this.#table.append(point);
    for (const [name, value] of processValues(figures)) this.#table.set(name, value);
  }

  /** It does nothing any more. */
  ends(seconds: number): void {
    if (this.current) this.current.to = seconds;
  }
}
