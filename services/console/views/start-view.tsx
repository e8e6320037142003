import { useState } from "preact/hooks";
import { readSpec } from "../model/spec-text.js";
import type { Answers, Control } from "../source/source.js";
import { go } from "../state.js";
import { Scroll } from "./scroll.js";
import { Trouble } from "./trouble.js";

const example = `name: my-run
student: { model: /path/to/student }
teachers: [{ model: /path/to/teacher }]
data: { path: /path/to/train.jsonl }
phases:
  - preset: on_policy_kd
    steps: 400
    batchSize: 64
`;

/** Starts a run from a spec, with the validator's answers by field. */
export function StartView({ control }: { readonly control: Control }) {
  const [text, setText] = useState(example);
  const [answers, setAnswers] = useState<Answers>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const ask = async (start: boolean) => {
    setBusy(true);
    setError(undefined);
    try {
      const spec = readSpec(text);
      const said = await control.validate(spec);
      setAnswers(said);
      if (start && said.problems.length === 0) go("run", await control.start(spec));
    } catch (wrong) {
      setAnswers(undefined);
      setError(wrong);
    }
    setBusy(false);
  };
  return (
    <>
      <h1>Start a run</h1>
      <label>
        Spec, as YAML. Paths are those of the controller's machine.
        <textarea class="text" rows={18} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <p class="buttons">
        <button type="button" disabled={busy} onClick={() => ask(false)}>
          Check
        </button>
        <button type="button" class="primary" disabled={busy} onClick={() => ask(true)}>
          Start
        </button>
      </p>
      <div aria-live="polite">
        {error !== undefined && <Trouble error={error} />}
        {answers && <Found answers={answers} />}
      </div>
    </>
  );
}

function Found({ answers: { problems, warnings } }: { readonly answers: Answers }) {
  const rows = [...problems.map((one) => ["problem", one] as const), ...warnings.map((one) => ["warning", one] as const)];
  return (
    <>
      <p>
        {problems.length
          ? `The spec can't run: ${problems.length === 1 ? "one problem" : `${problems.length} problems`}.`
          : "The spec can run."}
      </p>
      {rows.length > 0 && (
        <Scroll name="The validator's answers">
          <table class="notes">
            <tbody>
              {rows.map(([kind, { field, message }]) => (
                <tr key={kind + field + message} class={kind === "problem" ? "alarm" : ""}>
                  <td>{kind}</td>
                  <th scope="row">{field}</th>
                  <td>{message}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </>
  );
}
