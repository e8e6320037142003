import { type CachedRow, cachedBytes, cachedLength, firstOf } from "./row-cache.js";

/** What was read of a conversation. */
interface KeptRow {
  /** Its tokens, of which the first are cached. */
  readonly ids: Int32Array;
  readonly cached: CachedRow;
}

/** Most bytes that conversations may take between their turns, unless it is set: those that have waited longest go first. */
export const mostKeptBytes = 2 ** 29;

/**
 * What was read of conversations between their turns, by name. It is a copy of what was computed, so that what is written behind it is what
 * would be written if all of it were read again; and so long as the weights are those that it was read with.
 */
export class KeptRows {
  readonly #rows = new Map<string, KeptRow>();
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes = mostKeptBytes) {
    this.#mostBytes = mostBytes;
  }

  /** Keeps what was read of a text, in place of what was kept under its name. @param cached in arrays of its own */
  keep(name: string, ids: Int32Array, cached: CachedRow): void {
    this.#drop(name);
    if (cachedBytes(cached) > this.#mostBytes) return;
    this.#rows.set(name, { ids, cached });
    this.#bytes += cachedBytes(cached);
    for (const [oldest] of this.#rows) {
      if (this.#bytes <= this.#mostBytes) break;
      this.#drop(oldest);
    }
  }

  /** Gives out what is kept of a text's beginning, which then isn't kept any more; undefined if nothing is. */
  take(name: string, ids: Int32Array): CachedRow | undefined {
    const kept = this.#rows.get(name);
    if (!kept) return undefined;
    this.#drop(name);
    const other = ids.findIndex((id, i) => id !== kept.ids[i]);
    const cached = other < 0 ? kept.cached : firstOf(kept.cached, other);
    return cachedLength(cached) > 0 ? cached : undefined;
  }

  clear(): void {
    this.#rows.clear();
    this.#bytes = 0;
  }

  #drop(name: string): void {
    const kept = this.#rows.get(name);
    if (!kept) return;
    this.#rows.delete(name);
    this.#bytes -= cachedBytes(kept.cached);
  }
}
