import type { Session } from "./session.js";

/** Rotary tables for this many positions cost nothing that counts. */
const leastRoom = 4096;

/**
 * Compiled graphs by name: as many as are allowed, those that were used last, each with room for the positions that were
 * asked for. A graph may hold a copy of the weights, and tables as long as its room.
 */
export class Sessions {
  readonly #maxPositions: number;
  readonly #most: number;
  /** In the order of their last use. */
  readonly #kept = new Map<string, { readonly session: Session; readonly room: number }>();
  #room: number;

  /** @param most sessions that are kept; at least as many as one call uses in turn */
  constructor(maxPositions: number, most: number) {
    this.#maxPositions = maxPositions;
    this.#most = most;
    this.#room = Math.min(leastRoom, maxPositions);
  }

  /** The session of this name, compiled if it is new or was made for fewer positions; what was not used for longest goes. */
  async get(name: string, positions: number, compile: (room: number) => Promise<Session>): Promise<Session> {
    while (this.#room < Math.min(positions, this.#maxPositions)) this.#room = Math.min(this.#room * 2, this.#maxPositions);
    const known = this.#kept.get(name);
    this.#kept.delete(name);
    if (known && known.room >= Math.min(positions, this.#maxPositions)) {
      this.#kept.set(name, known);
      return known.session;
    }
    await known?.session.release();
    while (this.#kept.size >= this.#most) await this.#drop([...this.#kept.keys()][0]!);
    const made = { session: await compile(this.#room), room: this.#room };
    this.#kept.set(name, made);
    return made.session;
  }

  async release(): Promise<void> {
    for (const name of [...this.#kept.keys()]) await this.#drop(name);
  }

  async #drop(name: string): Promise<void> {
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    await kept?.session.release();
  }
}
