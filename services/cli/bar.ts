import { SingleBar } from "cli-progress";

/** A progress bar on standard error. Nothing is shown where that is no terminal. */
export interface Bar {
  update(done: number): void;
  stop(): void;
}

/** Shows a bar for something that has `total` parts. */
export function startBar(what: string, total: number): Bar {
  const format = `${what} {bar} {value}/{total} ETA {eta_formatted}`;
  const bar = new SingleBar({ stream: process.stderr, format, barsize: 24, noTTYOutput: false, clearOnComplete: true, hideCursor: true });
  bar.start(total, 0);
  return { update: (done) => bar.update(done), stop: () => bar.stop() };
}
