import type { Tensor } from "../../graph/tensor.js";

/**
 * A safetensors file that is made part by part as it is read: the header, then each tensor's own bytes, which are views. So
 * it may be larger than one array can be, and holds no copy.
 */
export interface EncodedTensors extends Iterable<Uint8Array> {
  /** Length of the whole file. */
  readonly byteLength: number;
}

/** Serialises float32 tensors, sorted by name; `metadata` goes into the header's __metadata__. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor<"float32">>,
  metadata: Record<string, string> = { format: "pt" },
): EncodedTensors {
  const sorted = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { dims, data }] of sorted) {
    header[name] = { dtype: "F32", shape: dims, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const head = headOf(header);
  return {
    byteLength: head.length + offset,
    *[Symbol.iterator]() {
      yield head;
      for (const [, { data }] of sorted) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    },
  };
}

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
