import type { FileHandle } from "node:fs/promises";
import { type AsyncBuffer, type Compressors, type FileMetaData, parquetMetadataAsync } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { compressors } from "hyparquet-compressors";
import { refused } from "./bytes.js";

/** Most bytes of the table of contents, of one page unpacked, and of a row group, as it is stored and unpacked. */
const [mostContents, mostPage, mostGroup] = [64 * 2 ** 20, 256 * 2 ** 20, 2 ** 30];

/** Most values of a page, of a column in one row group, and most pages of one. */
const [mostPageValues, mostValues, mostPages] = [2 ** 24, 2 ** 26, 2 ** 17];

/** Bytes that hold a page's header: a few, and what it says of the smallest and the largest value. */
const headerBytes = 2 ** 16;

/** A Parquet file that is open, with its table of contents. */
export interface ParquetFile {
  readonly buffer: AsyncBuffer;
  readonly metadata: FileMetaData;
}

/** Reads a Parquet file's table of contents. @throws InvalidArgument if there is too much of it; Error if it is no Parquet */
export async function openParquet(handle: FileHandle, file: string, parsers: object): Promise<ParquetFile> {
  const { size } = await handle.stat();
  const buffer: AsyncBuffer = {
    byteLength: size,
    slice: async (start, end = size) => (await bytesAt(handle, start, end)).buffer,
  };
  if (size < 12) throw new Error("it is too short");
  const end = new DataView(await buffer.slice(size - 8, size));
  if (end.getUint32(4) !== 0x50415231) throw new Error("it does not end as Parquet does (PAR1)");
  const length = end.getUint32(0, true);
  if (length > mostContents)
    throw refused(`${file} has a table of contents of ${length} bytes; at most ${mostContents} are read; write the file again`);
  return { buffer, metadata: await parquetMetadataAsync(buffer, { parsers } as object) };
}

async function bytesAt(handle: FileHandle, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  if (!(start >= 0 && start <= end && end - start <= mostGroup)) throw new Error("it places its columns where they cannot be");
  const bytes = new Uint8Array(end - start);
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
    if (bytesRead === 0) throw new Error("it was cut off while it was read");
    done += bytesRead;
  }
  return bytes;
}

/**
 * Looks at the headers of a row group's pages before any is unpacked: how large they say that they are decides how much
 * memory is taken for them.
 *
 * @throws InvalidArgument naming the row group and the limit
 */
export async function checkGroup({ buffer, metadata }: ParquetFile, group: number, file: string): Promise<void> {
  const what = `${file}: row group ${group + 1}`;
  const over = (which: string, has: number, most: number) =>
    refused(`${what} ${which} ${has}, and at most ${most} can be read; write the file with smaller row groups`);
  let [stored, unpacked] = [0, 0];
  for (const { meta_data: column } of metadata.row_groups[group]!.columns) {
    if (!column) throw new Error("a column has no description");
    const { dictionary_page_offset: dictionary, data_page_offset: data } = column;
    const start = Number(dictionary && dictionary < data ? dictionary : data);
    const end = start + Number(column.total_compressed_size);
    stored += end - start;
    if (!(start >= 0 && end >= start && end <= buffer.byteLength)) throw new Error("it places a column outside of itself");
    if (stored > mostGroup) throw over("has bytes as it is stored:", stored, mostGroup);
    const { bytes, values, largest, most, pages } = await measured(buffer, start, end);
    unpacked += bytes;
    if (largest > mostPage) throw over("has a page of bytes:", largest, mostPage);
    if (unpacked > mostGroup) throw over("unpacks to bytes:", unpacked, mostGroup);
    if (most > mostPageValues) throw over("has a page of values:", most, mostPageValues);
    if (values > mostValues) throw over("has a column of values:", values, mostValues);
    if (pages > mostPages) throw over("has a column of pages:", pages, mostPages);
  }
}

/** What the page headers of a column say: bytes and values, all together and of the largest page, and how many there are. */
async function measured(buffer: AsyncBuffer, start: number, end: number) {
  const total = { bytes: 0, values: 0, largest: 0, most: 0, pages: 0 };
  for (let at = start; at < end - 1 && total.pages <= mostPages && total.bytes <= mostGroup; ) {
    const reader = { view: new DataView(await buffer.slice(at, Math.min(end, at + headerBytes))), offset: 0 };
    const header = parquetHeader(reader);
    const { data_page_header: first, data_page_header_v2: second, dictionary_page_header: dictionary } = header;
    const values = Math.max(...[first, second, dictionary].map((page) => page?.num_values ?? 0), second?.num_rows ?? 0);
    const [stored, bytes] = [Number(header.compressed_page_size), Number(header.uncompressed_page_size)];
    if (!(stored >= 0 && bytes >= 0 && values >= 0)) throw new Error("a page's header is malformed");
    total.pages++;
    total.bytes += bytes;
    total.values += values;
    total.largest = Math.max(total.largest, bytes);
    total.most = Math.max(total.most, values);
    at += reader.offset + stored;
  }
  return total;
}

/** The library's unpacking; what a page unpacks to must be as long as its header says, since that is what was checked. */
export const checkedCompressors: Compressors = Object.fromEntries(
  Object.entries(compressors as Required<Compressors>).map(([codec, unpack]) => [
    codec,
    (input: Uint8Array, length: number) => {
      const output = unpack(input, length);
      if (output.length > mostPage) throw new Error("a page unpacks to more than it says");
      return output;
    },
  ]),
);
