import { useEffect, useState } from "preact/hooks";

/** What was loaded last, and what went wrong since. */
export interface Loaded<T> {
  readonly value: T | undefined;
  readonly error: unknown;
  /** Loads again now. */
  readonly again: () => void;
}

interface State<T> {
  readonly key: string;
  readonly value?: T;
  readonly error?: unknown;
}

/**
 * Loads something, and again every so often: never twice at once, and not while the page is hidden.
 *
 * @param key what it depends on; another key loads again
 * @param everyMs 0 for once
 */
export function useLoaded<T>(load: () => Promise<T>, key: string, everyMs = 0): Loaded<T> {
  const [state, setState] = useState<State<T>>({ key });
  const [round, setRound] = useState(0);
  // Not `load`, which is another function each time; `key` says when it matters
  useEffect(() => {
    let [gone, timer] = [false, 0];
    const once = async () => {
      if (!document.hidden || round === 0) {
        const next = await load().then(
          (value): State<T> => ({ key, value }),
          (error: unknown): State<T> => ({ key, error }),
        );
        if (gone) return;
        setState((last) => (next.error !== undefined && last.key === key ? { ...last, error: next.error } : next));
      }
      if (everyMs && !gone) timer = window.setTimeout(once, everyMs);
    };
    void once();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [key, everyMs, round]);
  const mine = state.key === key;
  return { value: mine ? state.value : undefined, error: mine ? state.error : undefined, again: () => setRound((n) => n + 1) };
}
