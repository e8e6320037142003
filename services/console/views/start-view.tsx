import { useRef, useState } from "preact/hooks";
import { counted } from "../../shared/base/counted.js";
import { type CheckedText, checkSpecText, type Remark } from "../model/spec-check.js";
import type { Control } from "../source/source.js";
import { go } from "../state.js";
import { PlanView } from "./plan-view.js";
import { SpecEditor, selectLine } from "./spec-editor.js";
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

/** Starts a run from a spec. What is wrong with it is shown at its lines. */
export function StartView({ control }: { readonly control: Control }) {
  const [text, setText] = useState(example);
  const [checked, setChecked] = useState<CheckedText>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const requestIdOf = useRequestId();
  const ask = async (start: boolean) => {
    setBusy(true);
    setError(undefined);
    try {
      const found = await checkSpecText(text, control.validate);
      setChecked(found);
      if (start && found.spec) go("run", await control.start(found.spec, requestIdOf(text)));
    } catch (wrong) {
      setChecked(undefined);
      setError(wrong);
    }
    setBusy(false);
  };
  return (
    <>
      <h1>Start a run</h1>
      <p>
        A spec as <code>retort run</code> takes it, with absolute paths: those of the controller's machine.
      </p>
      <SpecEditor text={text} setText={setText} remarks={checked?.remarks ?? []} describedBy="said" />
      <p class="buttons">
        <button type="button" disabled={busy} onClick={() => ask(false)}>
          Check
        </button>
        <button type="button" class="primary" disabled={busy} onClick={() => ask(true)}>
          Start
        </button>
        {busy && <span class="small">asking the controller …</span>}
      </p>
      <div id="said" aria-live="polite">
        {error !== undefined && <Trouble error={error} />}
        {checked && <Said checked={checked} />}
      </div>
    </>
  );
}

/** An id for starting a spec: the same for the same text, so that a click too many, or one after an answer that was lost, starts no second run. */
function useRequestId(): (text: string) => string {
  const last = useRef({ text: "", id: "" });
  return (text) => {
    // Not randomUUID(), which pages without TLS don't have.
    const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (last.current.text !== text) last.current = { text, id: random() };
    return last.current.id;
  };
}

function Said({ checked: { remarks, spec, estimate } }: { readonly checked: CheckedText }) {
  const problems = remarks.filter(({ kind }) => kind === "problem").length;
  return (
    <>
      <p>{spec ? "The spec can run." : `The spec can't run: ${counted(problems, "problem")}.`}</p>
      <ul class="remarks" aria-label="What is said of the spec">
        {remarks.map((remark) => (
          <RemarkItem key={`${remark.kind}${remark.field}${remark.message}`} remark={remark} />
        ))}
      </ul>
      {estimate && <PlanView estimate={estimate} />}
    </>
  );
}

const RemarkItem = ({ remark: { kind, line, field, message } }: { readonly remark: Remark }) => (
  <li>
    {line !== undefined && (
      <button type="button" class="plain" onClick={() => selectLine(line)}>
        line {line}
      </button>
    )}
    <p class={kind}>
      <span class="small">{kind}</span> {field && <b>{field}</b>} {message}
    </p>
  </li>
);
