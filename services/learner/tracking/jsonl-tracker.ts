import { createReadStream } from "node:fs";
import type { NamedValue } from "../../shared/flow/history/figures.js";
import { AppendFile } from "./append-file.js";
import type { TrackedEvaluation, TrackedPoint, TrackedStep, Tracker } from "./tracker.js";

/** What a file of an earlier learner has that stays. */
interface Kept {
  readonly bytes: number;
  readonly tokens: number;
  /** Version of the last evaluation; -1 without one. */
  readonly evaluated: number;
}

/**
 * `metrics.jsonl`: a line of JSON per step, and one per evaluation, with figures named as in ReadFigures; a number that isn't
 * finite is null.
 */
export class JsonlTracker implements Tracker {
  readonly name = "metrics.jsonl";
  readonly #file: AppendFile;
  #tokens: number;
  #evaluated: number;

  private constructor(file: AppendFile, { tokens, evaluated }: Kept) {
    this.#file = file;
    this.#tokens = tokens;
    this.#evaluated = evaluated;
  }

  /** Goes on behind a step: the lines of later ones, which are trained again, are taken out. */
  static async open(path: string, fromStep: number): Promise<JsonlTracker> {
    const kept = await keptOf(path, fromStep);
    return new JsonlTracker(await AppendFile.open(path, kept.bytes), kept);
  }

  async step({ phase, source, completionTokens, values, ...point }: TrackedStep): Promise<void> {
    this.#tokens += completionTokens;
    await this.#line(point, { tokens: this.#tokens, phase, source }, values);
  }

  async evaluation({ values, ...point }: TrackedEvaluation): Promise<void> {
    // Measured by the learner before this one, which could not say so any more.
    if (this.#evaluated === point.step) return;
    this.#evaluated = point.step;
    await this.#line(point, { tokens: this.#tokens }, values);
  }

  async samples(): Promise<void> {}

  sync(): Promise<void> {
    return this.#file.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #line({ step, timeMs, elapsedSeconds }: TrackedPoint, words: object, values: readonly NamedValue[]): Promise<void> {
    const line = { step, time: new Date(timeMs).toISOString(), elapsedSeconds, ...words, ...Object.fromEntries(values) };
    return this.#file.append(Buffer.from(`${JSON.stringify(line)}\n`));
  }
}

/** The lines up to a step; a line that was cut off, and what follows it, goes. */
async function keptOf(path: string, fromStep: number): Promise<Kept> {
  let kept: Kept = { bytes: 0, tokens: 0, evaluated: -1 };
  try {
    for await (const bytes of linesOf(path)) {
      const line = parsed(bytes);
      if (!line || typeof line.step !== "number" || line.step > fromStep) break;
      const isEvaluation = Object.keys(line).some((key) => key.startsWith("evaluation."));
      kept = {
        bytes: kept.bytes + bytes.length,
        tokens: typeof line.tokens === "number" ? line.tokens : kept.tokens,
        evaluated: isEvaluation ? line.step : kept.evaluated,
      };
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return kept;
}

function parsed(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    return JSON.parse(bytes.toString()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Whole lines of a file, their ends included. */
async function* linesOf(path: string): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    const bytes = Buffer.concat([rest, chunk as Buffer]);
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      yield bytes.subarray(from, end + 1);
      from = end + 1;
    }
    rest = bytes.subarray(from);
  }
}
