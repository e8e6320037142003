import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { Foot } from "./foot.js";
import { duration, Pace } from "./pace.js";
import { columnsOf, type Out } from "./style.js";

/** A progress bar on standard error. Nothing is shown where that is no terminal. */
export interface Bar {
  update(done: number): void;
  stop(): void;
}

/** A bar as text, a fifth of its terminal wide: how much is done, and how long the rest takes where that is known. @param words a count as text */
export function barText(
  done: number,
  total: number,
  secondsLeft: number | undefined,
  out: Out,
  words: (count: number) => string = String,
): string {
  const size = Math.max(8, Math.min(32, Math.floor(columnsOf(out) / 5)));
  const full = total > 0 ? Math.min(size, Math.floor((size * done) / total)) : 0;
  const rest = secondsLeft === undefined ? "" : ` ETA ${duration(secondsLeft)}`;
  return `${"█".repeat(full)}${"░".repeat(size - full)} ${words(done)}/${words(total)}${rest}`;
}

/** Shows a bar for something that has `total` parts. */
export function startBar(what: string, total: number, out: Out = process.stderr): Bar {
  const foot = new Foot(out);
  const pace = new Pace();
  const update = (done: number) => {
    pace.mark(done, performance.now() / 1000);
    if (foot.isLive) foot.show(`${what} ${barText(done, total, pace.left(total), out)}`);
  };
  update(0);
  return { update, stop: () => foot.clear() };
}

/** Bytes that are on their way. */
export interface Transfer {
  update(done: number, total: number): void;
  stop(): void;
}

/** Shows how much of something has come or gone: a bar on a terminal, one line elsewhere; nothing where nothing is left to do. */
export function showTransfer(what: string, out: Out = process.stderr): Transfer {
  const foot = new Foot(out);
  const pace = new Pace();
  let begun = false;
  const update = (done: number, total: number) => {
    if (!begun && done >= total) return;
    if (!begun && !foot.isLive) foot.print(`${what} (${bytesInWords(total)}) …`);
    begun = true;
    pace.mark(done, performance.now() / 1000);
    if (foot.isLive) foot.show(`${what} ${barText(done, total, pace.left(total), out, bytesInWords)}`);
  };
  return { update, stop: () => foot.clear() };
}
