import type { Metrics } from "../shared/base/metrics.js";
import type { CacheOutcome } from "./score-cache.js";

/** What a teacher counts, for its metrics. */
export class TeacherMeters {
  readonly #tokens;
  readonly #bytes;
  readonly #rollouts;
  readonly #duration;
  readonly #lookups;
  readonly #cacheBytes;

  constructor(metrics: Metrics) {
    this.#tokens = metrics.counter("scored_tokens_total", "completion tokens scored", ["signal"]);
    this.#bytes = metrics.counter("signal_bytes_total", "bytes of teacher signal sent", ["signal"]);
    this.#rollouts = metrics.counter("rollouts_total", "rollouts scored");
    this.#duration = metrics.seconds("score", "time to score a rollout");
    this.#lookups = metrics.counter("cache_lookups_total", "sequences looked up in the score cache", ["outcome"]);
    this.#cacheBytes = metrics.gauge("cache_bytes", "bytes of the score cache on the disk");
  }

  /** A rollout has been scored. @param tokens of its completions @param bytes of signal that were sent for them */
  rolloutScored(tokens: number, seconds: number, bytes: number, signal: string): void {
    this.#rollouts.inc();
    this.#tokens.inc({ signal }, tokens);
    this.#bytes.inc({ signal }, bytes);
    this.#duration.observe(seconds);
  }

  /** A sequence has been looked up in the cache, which has so many bytes now. */
  lookedUp(outcome: CacheOutcome, bytes: number): void {
    this.#lookups.inc({ outcome });
    this.#cacheBytes.set(bytes);
  }
}
