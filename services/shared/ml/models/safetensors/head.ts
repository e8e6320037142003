/**
 * A file's first bytes: its header with the length before it. The data must start at a multiple of 8: spaces fill it up.
 *
 * @param header entries by name, and `__metadata__`
 */
export function headOf(header: Readonly<Record<string, unknown>>): Uint8Array {
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(text.length + ((8 - (Buffer.byteLength(text) % 8)) % 8)));
  const head = new Uint8Array(8 + padded.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded.length), true);
  head.set(padded, 8);
  return head;
}
