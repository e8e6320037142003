/** Marks that are kept, and the least seconds between two of them. */
const mostMarks = 21;
const leastSeconds = 0.25;

/** How fast something goes: the mean of its last twenty steps. */
export class Pace {
  readonly #marks: { done: number; seconds: number }[] = [];

  /** Notes how much is done, at a time on any clock that only goes on, in seconds. */
  mark(done: number, seconds: number): void {
    const [before, last] = this.#marks.slice(-2);
    // What comes in a quick succession is one step.
    if (last && before && last.seconds - before.seconds < leastSeconds) this.#marks.pop();
    // What begins again goes at another pace.
    else if (before && done < (last ?? before).done) this.#marks.length = 0;
    this.#marks.push({ done, seconds });
    if (this.#marks.length > mostMarks) this.#marks.shift();
  }

  /** Seconds until `total` are done; undefined while that can't be said. */
  left(total: number): number | undefined {
    const [first, last] = [this.#marks[0], this.#marks.at(-1)];
    if (!first || !last || last.done <= first.done) return undefined;
    return ((last.seconds - first.seconds) * Math.max(0, total - last.done)) / (last.done - first.done);
  }
}

/** A length of time in words, as "3 min 5 s". */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (whole < 3600) return `${minutes} min ${whole % 60} s`;
  return hours < 48 ? `${hours} h ${minutes} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
