import type { Constant } from "../graph/file-tensor.js";
import type { Session } from "./session.js";

/** Rotary tables for this many positions cost nothing that counts. */
const leastRoom = 4096;

/** Makes a session with room for so many positions. */
type Compile = (room: number) => Promise<Session>;

interface Kept {
  readonly session: Session;
  readonly room: number;
  readonly compile: Compile;
}

/**
 * Compiled graphs by name: as many as are allowed, those that were used last, each with room for the positions that were
 * asked for. A graph may hold a copy of the weights, and tables as long as its room.
 */
export class Sessions {
  readonly #maxPositions: number;
  readonly #most: number;
  readonly #leaving: (session: Session) => void;
  /** In the order of their last use. */
  readonly #kept = new Map<string, Kept>();
  #room: number;

  /**
   * @param most sessions that are kept; at least as many as one call uses in turn
   * @param leaving is told of each before it is released
   */
  constructor(maxPositions: number, most: number, leaving: (session: Session) => void = () => {}) {
    this.#leaving = leaving;
    this.#maxPositions = maxPositions;
    this.#most = most;
    this.#room = Math.min(leastRoom, maxPositions);
  }

  /** The session of this name, compiled if it is new or was made for fewer positions; what was not used for longest goes. */
  async get(name: string, positions: number, compile: Compile): Promise<Session> {
    while (this.#room < Math.min(positions, this.#maxPositions)) this.#room = Math.min(this.#room * 2, this.#maxPositions);
    const known = this.#kept.get(name);
    this.#kept.delete(name);
    if (known && known.room >= Math.min(positions, this.#maxPositions)) {
      this.#kept.set(name, known);
      return known.session;
    }
    if (known) await this.#release(known.session);
    while (this.#kept.size >= this.#most) await this.#drop([...this.#kept.keys()][0]!);
    return this.#make(name, compile);
  }

  /**
   * Goes over to other weights: what is kept has them written over its own, or is compiled again. All that goes does so before any
   * of the new is made; after an error nothing is kept.
   */
  async renew(weights: ReadonlyMap<string, Constant>): Promise<void> {
    const kept = [...this.#kept];
    try {
      for (const [name, { session }] of kept) {
        if (session.isRewritable) await session.rewrite(weights);
        else await this.#drop(name);
      }
      for (const [name, { compile }] of kept) if (!this.#kept.has(name)) await this.#make(name, compile);
    } catch (error) {
      await this.release();
      throw error;
    }
  }

  async #make(name: string, compile: Compile): Promise<Session> {
    const room = this.#room;
    const session = await compile(room);
    this.#kept.set(name, { session, room, compile });
    return session;
  }

  async release(): Promise<void> {
    for (const name of [...this.#kept.keys()]) await this.#drop(name);
  }

  async #release(session: Session): Promise<void> {
    this.#leaving(session);
    await session.release();
  }

  async #drop(name: string): Promise<void> {
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    if (kept) await this.#release(kept.session);
  }
}
