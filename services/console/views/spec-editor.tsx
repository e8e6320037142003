import { useRef } from "preact/hooks";
import type { Remark } from "../model/spec-check.js";

interface EditorProps {
  readonly text: string;
  readonly setText: (text: string) => void;
  readonly remarks: readonly Remark[];
  /** The element that says what is wrong. */
  readonly describedBy: string;
}

/** Lines that are shown at once. */
const rows = 18;

/** A spec's text with numbered lines; those that something is said of are marked. */
export function SpecEditor({ text, setText, remarks, describedBy }: EditorProps) {
  const numbers = useRef<HTMLDivElement>(null);
  const marks = new Map<number | undefined, Remark["kind"]>(remarks.toReversed().map(({ line, kind }) => [line, kind]));
  const count = text.split("\n").length;
  return (
    <div class="editor text">
      <div class="numbers num" ref={numbers} aria-hidden="true" style={{ maxHeight: `${rows * 1.5}em` }}>
        {Array.from({ length: count }, (_, n) => (
          // The key: a line is its place
          <div key={n} class={marks.get(n + 1) ?? ""}>
            {marks.has(n + 1) ? "▸ " : ""}
            {n + 1}
          </div>
        ))}
      </div>
      <textarea
        id="spec"
        aria-label="Spec, as YAML"
        aria-describedby={describedBy}
        aria-invalid={remarks.some(({ kind }) => kind === "problem")}
        rows={rows}
        wrap="off"
        spellcheck={false}
        autocapitalize="off"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onScroll={(event) => numbers.current?.scrollTo({ top: event.currentTarget.scrollTop })}
      />
    </div>
  );
}

/** Goes to a line of the text, and selects it. */
export function selectLine(line: number): void {
  const area = document.getElementById("spec") as HTMLTextAreaElement | null;
  if (!area) return;
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  area.scrollTop = (area.scrollHeight / lines.length) * Math.max(0, line - rows / 2);
}
