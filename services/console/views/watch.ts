import { useEffect, useState } from "preact/hooks";
import { RunHistory } from "../../shared/flow/history/run-history.js";
import type { Source } from "../source/source.js";

/** How often what a run says is shown. */
const everyMs = 400;

/** A run's history as its events come in; shown a few times a second however many come. */
export function useHistory(source: Source, runId: string): RunHistory {
  const [state, setState] = useState({ history: new RunHistory({ sampledSteps: 1 }) });
  useEffect(() => {
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
          for await (const event of source.watch(runId, leave.signal)) history.push(event);
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
  }, [source, runId]);
  return state.history;
}
