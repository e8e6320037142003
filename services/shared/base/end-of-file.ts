import { open } from "node:fs/promises";

/** The last bytes of a text file, from the beginning of a line: a first line that is cut off is left out. */
export async function endOfFile(path: string, maxBytes: number): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - maxBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    const text = buffer.toString("utf8", 0, bytesRead);
    return from > 0 ? text.slice(text.indexOf("\n") + 1) : text;
  } finally {
    await file.close();
  }
}
