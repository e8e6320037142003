import { Writable } from "node:stream";
import type { Out } from "../../../services/cli/terminal/style.js";

/** A stream that keeps what is written to it, as a terminal or not. */
export function paper({ isTTY, columns = 80 }: { isTTY: boolean; columns?: number }): {
  out: Out & NodeJS.WriteStream;
  text: () => string;
} {
  const pieces: string[] = [];
  const stream = new Writable({
    write(piece: Buffer, _, done) {
      pieces.push(piece.toString());
      done();
    },
  });
  const out = Object.assign(stream, isTTY ? { isTTY, columns, rows: 24, getColorDepth: () => 8 } : { isTTY });
  return { out: out as unknown as NodeJS.WriteStream, text: () => pieces.join("") };
}
