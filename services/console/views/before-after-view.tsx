import { useMemo, useState } from "preact/hooks";
import { number } from "../model/format.js";
import { Completions } from "./completions.js";
import type { Watched } from "./watch.js";

/** What the student wrote for held-out prompts before training, and after it: of the first and the last evaluation, or of any two. */
export function BeforeAfterView({ watched: { history } }: { readonly watched: Watched }) {
  const evaluations = history.evaluations.map(({ value }) => value);
  const versions = evaluations.map(({ version }) => version);
  const [picked, setPicked] = useState<{ readonly before?: number; readonly after?: number }>({});
  const before = picked.before ?? versions[0];
  const after = picked.after ?? versions.at(-1);
  const names = new Map(versions.map((version) => [version, nameOf(version, versions, history.best?.step)]));
  const columns = useMemo(
    () =>
      [before, after].flatMap((version) => {
        const evaluation = evaluations.find((one) => one.version === version);
        return evaluation ? [{ name: `step ${number(evaluation.version)}`, evaluation }] : [];
      }),
    [before, after, versions.length],
  );
  if (history.sequence === 0) return <p>Loading …</p>;
  if (!versions.length)
    return <p>The run has not been evaluated yet. With `evaluation` in its spec it is, before the first step and after the last.</p>;
  if (versions.length === 1) return <p>The run has been evaluated once, before its first step. The next evaluation is shown beside it.</p>;
  const choice = (which: "before" | "after", value: number | undefined) => (
    <label>
      <span class="small">{which === "before" ? "Before" : "After"}</span>{" "}
      <select value={value} onChange={(event) => setPicked({ ...picked, [which]: Number(event.currentTarget.value) })}>
        {[...names].map(([version, name]) => (
          <option key={version} value={version}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <section aria-label="Before and after">
      <div class="tools">
        {choice("before", before)}
        {choice("after", after)}
      </div>
      {before === after ? <p>Choose two different steps.</p> : <Completions columns={columns} />}
    </section>
  );
}

function nameOf(version: number, versions: readonly number[], best: number | undefined): string {
  const marks = [version === versions[0] && "first", version === versions.at(-1) && "last", version === best && "best"].filter(Boolean);
  return `step ${number(version)}${marks.length ? ` (${marks.join(", ")})` : ""}`;
}
