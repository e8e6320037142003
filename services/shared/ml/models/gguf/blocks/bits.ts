/** The little-endian float16 at a place. @param halves every float16 by its bits */
export const half = (bytes: Uint8Array, at: number, halves: Float32Array): number => halves[bytes[at]! | (bytes[at + 1]! << 8)]!;

/** The four bytes at a place as bits, the first byte's lowest. */
export const word = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
