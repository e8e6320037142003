import { open } from "node:fs/promises";

/** Castagnoli's polynomial, reversed (RFC 3720, appendix B.4). */
const polynomial = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
  return crc;
});

/** CRC-32C of bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 255]!;
  return ~crc >>> 0;
}

/** As records have it: rotated and offset, since the CRC of what contains its own CRC tells little. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Bytes of a record beside its data. */
const [headBytes, tailBytes] = [12, 4];
/** A longer record is none of ours: the file is damaged. */
const mostBytes = 256 * 2 ** 20;

/**
 * A TFRecord: uint64 length, masked CRC-32C of these 8 bytes, the data, masked CRC-32C of the data; little-endian.
 * Source: tensorflow.org, "TFRecord and tf.train.Example".
 */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(headBytes + data.length + tailBytes);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(masked(record.subarray(0, 8)), 8);
  record.set(data, headBytes);
  record.writeUInt32LE(masked(data), headBytes + data.length);
  return record;
}

/** Data of a file's records, in order, and where each ends. Ends before one that was cut off or damaged. */
export async function* readTfRecords(path: string): AsyncGenerator<{ readonly data: Buffer; readonly end: number }> {
  const handle = await open(path, "r");
  try {
    const bytesAt = async (from: number, count: number): Promise<Buffer | undefined> => {
      const bytes = Buffer.alloc(count);
      const { bytesRead } = await handle.read(bytes, 0, count, from);
      return bytesRead === count ? bytes : undefined;
    };
    for (let at = 0; ; ) {
      const head = await bytesAt(at, headBytes);
      if (!head || head.readUInt32LE(8) !== masked(head.subarray(0, 8))) return;
      const length = Number(head.readBigUInt64LE(0));
      const rest = length <= mostBytes ? await bytesAt(at + headBytes, length + tailBytes) : undefined;
      if (!rest) return;
      const data = rest.subarray(0, length);
      if (rest.readUInt32LE(length) !== masked(data)) return;
      at += headBytes + length + tailBytes;
      yield { data, end: at };
    }
  } finally {
    await handle.close();
  }
}
