import { number } from "../model/format.js";
import type { Source } from "../source/source.js";
import { useLoaded } from "./load.js";
import { Text } from "./scroll.js";
import { Trouble } from "./trouble.js";

/** The ends of the logs of a run's processes. */
export function LogsView({ source, runId }: { readonly source: Source; readonly runId: string }) {
  const { value: logs, error } = useLoaded(async () => source.logs?.(runId) ?? [], runId, 3000);
  return (
    <section aria-label="Logs">
      {error !== undefined && <Trouble error={error} />}
      {logs?.length === 0 && <p>No logs: they are not where the controller can read them.</p>}
      {logs?.map(({ name, text }) => (
        <details key={name} open={logs.length < 3}>
          <summary>
            {name} <span class="small num">{number(text.split("\n").length - 1)} lines</span>
          </summary>
          <Text name={name}>{text}</Text>
        </details>
      ))}
    </section>
  );
}
