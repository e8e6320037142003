import { Work } from "../../shared/gen/retort/v1/events_pb.js";
import { duration, number } from "../model/format.js";
import { workWord } from "../model/works.js";
import type { Watched } from "./watch.js";

/** What each process is at, and what has waited long. */
export function Processes({ watched: { history } }: { readonly watched: Watched }) {
  const at = [...history.processes].flatMap(([name, { current }]) => (current ? [{ name, current }] : []));
  const wait = history.waits.at(-1);
  const waiting = wait && history.seconds - wait.seconds < wait.value.seconds ? wait.value : undefined;
  if (!at.length && !waiting) return null;
  return (
    <section class="processes" aria-label="What the processes do">
      {waiting && (
        <p class="waits">
          {waiting.waiter} has waited {duration(waiting.seconds)} for {waiting.waitsFor}
        </p>
      )}
      <ul>
        {at.map(({ name, current }) => (
          <li key={name} class={current.work === Work.WAITING ? "idle" : ""}>
            <b>{name}</b> {workWord(current.work)} <span class="small">{current.message}</span>
            {current.total > 0 && (
              <span class="num">
                {" "}
                {number(current.done)} / {number(current.total)}
              </span>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
