import { useEffect, useState } from "preact/hooks";
import { RunHistory } from "../../shared/flow/history/run-history.js";
import type { Source } from "../source/source.js";

/** How often what a run says is shown. */
const everyMs = 400;

/** How many events are taken before the page may do something else. */
const atOnce = 250;

/** A run as far as it has been seen. It is another object each time there is more: the history in it is the same, and a view whose props are the same isn't drawn again. */
export interface Watched {
  readonly history: RunHistory;
}

/**
 * A run's history as its events come in; shown a few times a second however many come.
 *
 * @param begin false while something else is to be loaded first: a long run has hundreds of thousands of events
 */
export function useHistory(source: Source, runId: string, begin = true): Watched {
  const [state, setState] = useState<Watched>({ history: new RunHistory({ sampledSteps: 1 }) });
  useEffect(() => {
    if (!begin) return;
    const leave = new AbortController();
    const history = new RunHistory({ sampledSteps: 1 });
    setState({ history });
    let shown = -1;
    const show = () => {
      if (history.sequence === shown) return;
      shown = history.sequence;
      setState({ history });
    };
    const timer = setInterval(show, everyMs);
    const follow = async () => {
      while (!leave.signal.aborted) {
        try {
          let taken = 0;
          for await (const event of source.watch(runId, leave.signal)) {
            history.push(event);
            if (++taken % atOnce === 0) await new Promise((resolve) => setTimeout(resolve));
          }
          return show();
        } catch {
          // The view's own request says what is wrong; a stream that broke begins again.
          await new Promise((resolve) => setTimeout(resolve, 2000));
        }
      }
    };
    void follow();
    return () => {
      leave.abort();
      clearInterval(timer);
    };
  }, [source, runId, begin]);
  return state;
}
