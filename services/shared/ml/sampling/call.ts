import type { Outputs } from "../runtime/outputs.js";
import type { Completion, Piece, SampleRequest } from "./chunk.js";
import { drawingKey, type SamplingParams } from "./params.js";
import { Row, type RowSettings } from "./row.js";

/** A call of a sampler: requests that wait, rows that are being written, and completions. */
export class Call {
  /** Rows of calls with the same key may be written together. */
  readonly key: string;
  /** Every completion, in the order of the requests. */
  readonly done: Promise<Completion[]>;
  /** What is being written. */
  rows: readonly Row[] = [];
  readonly #requests: readonly SampleRequest[];
  readonly #settings: RowSettings;
  readonly #startId: number | undefined;
  readonly #onPieces: ((pieces: readonly Piece[]) => void) | undefined;
  readonly #completions: Completion[] = [];
  #begun = 0;
  #written = 0;
  #resolve: (completions: Completion[]) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  /** @param startId the token that an encoder-decoder's completions begin behind */
  constructor(
    requests: readonly SampleRequest[],
    params: SamplingParams,
    startId: number | undefined,
    onPieces?: (pieces: readonly Piece[]) => void,
  ) {
    this.key = drawingKey(params);
    this.#requests = requests;
    this.#settings = { params, stops: new Set(params.stopIds) };
    this.#startId = startId;
    this.#onPieces = onPieces;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** How many requests have no row yet. */
  get waiting(): number {
    return this.#requests.length - this.#begun;
  }

  /** Makes rows of the next requests. */
  begin(count: number): void {
    const requests = this.#requests.slice(this.#begun, this.#begun + count);
    const rows = requests.map((request, i) => new Row(request, this.#begun + i, this.#settings, this.#startId));
    this.#begun += rows.length;
    this.rows = [...this.rows, ...rows];
  }

  /** Takes what a run drew for the rows of this call that it had; those that have ended leave. */
  take(outputs: Outputs, places: ReadonlyMap<Row, number>): void {
    const pieces = this.rows.flatMap((row) => {
      const place = places.get(row);
      return place === undefined ? [] : [row.take(outputs, place)];
    });
    if (pieces.length > 0) this.#onPieces?.(pieces);
    for (const row of this.rows) {
      if (!row.finish) continue;
      this.#completions[row.index] = row.completion();
      this.#written++;
    }
    this.rows = this.rows.filter((row) => !row.finish);
    if (this.isDone) this.#resolve(this.#completions);
  }

  get isDone(): boolean {
    return this.#written === this.#requests.length;
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}
