/**
 * Memory for one large array after another, each of which is done with when the next one is asked for. New memory of 100 MB takes
 * longer to get, page by page, than to be written.
 */
export class KeptFloats {
  #floats = new Float32Array(0);

  /** An array of that length, which holds whatever was there before. Ends the one before it. */
  take(length: number): Float32Array {
    if (this.#floats.length < length) {
      // The old one goes first, so that both are never there together.
      this.#floats = new Float32Array(0);
      this.#floats = new Float32Array(length);
    }
    return this.#floats.subarray(0, length);
  }

  /** Gives the memory back. */
  release(): void {
    this.#floats = new Float32Array(0);
  }
}
