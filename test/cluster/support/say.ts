const started = Date.now();

/** A time in milliseconds, in seconds. */
export const seconds = (ms: number): string => (ms / 1000).toFixed(1);

/** Writes a sentence, and when it was written. */
export const say = (sentence: string): void => console.log(`${seconds(Date.now() - started).padStart(7)}s  ${sentence}`);

/** Ends the test unless something holds, and says that it does. */
export function check(what: string, holds: boolean, detail = ""): void {
  if (!holds) throw new Error(`not so: ${what}${detail ? ` (${detail})` : ""}`);
  say(`ok: ${what}`);
}
