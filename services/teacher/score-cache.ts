import { createHash } from "node:crypto";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import type { FileCache } from "../shared/base/file-cache.js";
import type { Log } from "../shared/base/log.js";
import { SequenceScoreSchema } from "../shared/gen/retort/v1/flow_pb.js";
import type { Signal } from "../shared/ml/signals/score.js";
import type { ScoreInput } from "../shared/ml/signals/signal.js";

type SequenceScoreInit = MessageInitShape<typeof SequenceScoreSchema>;

/** Changes whenever the same teacher, tokens and signal give another answer, or the answer another form. */
const format = "2";

/** The scores of one call: those that the cache had, and what it said. */
export interface CachedScores {
  /** In the order of the inputs; undefined where the cache has none. */
  readonly scores: readonly (SequenceScoreInit | undefined)[];
  readonly hits: number;
}

/** What became of a look-up, for the metrics. */
export type CacheOutcome = "hit" | "miss" | "corrupt";

/**
 * Scores by what they are a function of: the teacher's weights, their dtype and config, the device, the tokens and the signal. It is
 * for text that comes again, over epochs, retries and runs: the dataset's and the teacher's own. What a student samples
 * hardly ever comes again and is not kept.
 */
export class ScoreCache {
  readonly #files: FileCache;
  readonly #teacher: string;
  readonly #log: Log;
  readonly #count: (outcome: CacheOutcome) => void;

  /** @param teacher everything about the teacher that its answers depend on */
  constructor(files: FileCache, teacher: string, log: Log, count: (outcome: CacheOutcome) => void) {
    this.#files = files;
    this.#teacher = teacher;
    this.#log = log;
    this.#count = count;
  }

  /** Looks scores up. An entry that cannot be read counts as none. */
  async find(inputs: readonly ScoreInput[], signal: Signal): Promise<CachedScores> {
    const scores = await Promise.all(inputs.map((input) => this.#find(this.#key(input, signal))));
    return { scores, hits: scores.filter(Boolean).length };
  }

  /** Keeps scores, as far as there is room. A disk that fails costs the entry, not the score. */
  async keep(inputs: readonly ScoreInput[], signal: Signal, scores: readonly SequenceScoreInit[]): Promise<void> {
    await Promise.all(
      inputs.map(async (input, i) => {
        if (scores[i]!.failure) return;
        const bytes = toBinary(SequenceScoreSchema, create(SequenceScoreSchema, scores[i]));
        await this.#files.put(this.#key(input, signal), bytes).catch((error: unknown) => this.#complain("stored", error));
      }),
    );
  }

  async #find(key: string): Promise<SequenceScoreInit | undefined> {
    const found = await this.#files.get(key).catch((error: unknown) => {
      this.#complain("read", error);
      return { kind: "miss" as const };
    });
    this.#count(found.kind);
    if (found.kind === "corrupt") this.#log.warn({ key }, "a cached score was damaged; it is made again");
    return found.kind === "hit" ? fromBinary(SequenceScoreSchema, found.bytes) : undefined;
  }

  #complain(what: string, error: unknown): void {
    this.#log.warn(`a cached score could not be ${what}: ${RetortError.from(error).message}`);
  }

  #key({ promptIds, completionIds, studentTopIds, replies = [] }: ScoreInput, { kind, k, temperature, hiddenDtype }: Signal): string {
    const hash = createHash("sha256").update(JSON.stringify([format, this.#teacher, kind, k, temperature, hiddenDtype ?? ""]));
    for (const ids of [promptIds, completionIds, studentTopIds ?? new Int32Array()])
      hash.update(`[${ids.length}]`).update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
    for (const { at, ids } of replies)
      hash.update(`reply ${at}[${ids.length}]`).update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
    return hash.digest("hex");
  }
}
