/** Bytes of a buffer that {@link borrow} lends. */
export const scratchBytes = 1 << 22;

const spare: Uint8Array<ArrayBuffer>[] = [];

/**
 * A buffer of {@link scratchBytes}, aligned for every type, until it is given back. A model has hundreds of weights, read a few MiB at a
 * time: a buffer for each would be memory that the C library keeps when they are gone, 70 MB of it.
 */
export const borrow = (): Uint8Array<ArrayBuffer> => spare.pop() ?? new Uint8Array(scratchBytes);

/** Takes a buffer back: who had it must not touch it again. */
export function giveBack(buffer: Uint8Array<ArrayBuffer>): void {
  spare.push(buffer);
}
