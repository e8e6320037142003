import { duration, number } from "../model/format.js";
import { Scroll } from "./scroll.js";
import { stateWord } from "./state-badge.js";
import type { Watched } from "./watch.js";

/** What became of the run: attempts, states, warnings, failures, checkpoints. */
export function Notes({ watched: { history } }: { readonly watched: Watched }) {
  const { learners, warnings, failures, states, checkpoints, audit } = history;
  const rows: { seconds: number; kind: string; text: string; alarm?: boolean }[] = [
    ...states.map(({ seconds, value }) => ({ seconds, kind: "state", text: stateWord(value) })),
    ...learners.map(({ seconds, value }, i) => ({
      seconds,
      kind: `attempt ${i + 1}`,
      text: `from step ${number(value.fromStep)}${value.message ? `: ${value.message}` : ""}`,
    })),
    ...checkpoints.map(({ seconds, value }) => ({ seconds, kind: "checkpoint", text: `step ${number(value.step)}` })),
    ...warnings.map(({ seconds, message, alarm }) => ({ seconds, kind: alarm ? "alarm" : "warning", text: message, alarm })),
  ].sort((a, b) => a.seconds - b.seconds);
  if (!rows.length) return null;
  return (
    <section>
      <h2>What happened</h2>
      <Scroll name="What happened">
        <table class="notes">
          <tbody>
            {rows.map(({ seconds, kind, text, alarm }) => (
              <tr key={`${seconds}${kind}${text}`} class={alarm ? "alarm" : ""}>
                <td class="num nowrap">{duration(seconds)}</td>
                <th scope="row">{kind}</th>
                <td>{text}</td>
              </tr>
            ))}
            {[...failures].map(([reason, count]) => (
              <tr key={reason}>
                <td class="num">{number(count)} ×</td>
                <th scope="row">failed</th>
                <td>{reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {audit && (
        <p>
          Account {audit.holds ? "holds" : "does not hold"}: {number(Number(audit.trained))} of {number(Number(audit.samples))} samples
          trained on, {number(Number(audit.failed))} with another outcome.
        </p>
      )}
    </section>
  );
}
