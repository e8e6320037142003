import { useMemo, useState } from "preact/hooks";
import { nounFor } from "../../shared/base/counted.js";
import type { EvaluationFinished, Example } from "../../shared/gen/retort/v1/events_pb.js";
import {
  type Change,
  changeOf,
  type Drawn,
  differences,
  qualityOf,
  type Row,
  rowsOf,
  type Stretch,
  textOf,
  verdict,
} from "../model/completions.js";
import { number } from "../model/format.js";
import { type Scale, scaleOf } from "../model/token-values.js";
import { ScaleLegend, Tokens } from "./tokens.js";

/** What stands in a column: one version of a model, or one of several models. */
export interface CompletionColumn {
  readonly name: string;
  readonly evaluation: EvaluationFinished;
  /** True for a teacher, which isn't held against the first. */
  readonly aside?: boolean;
}

/** What is shown of the completions. */
type Look = "greedy" | "sampled" | "divergence";

const lookWords: Readonly<Record<Look, string>> = {
  greedy: "greedy, differences marked",
  sampled: "sampled, differences marked",
  divergence: "sampled, by divergence",
};

const changeWords: Readonly<Record<Change | "all", string>> = {
  all: "all prompts",
  changed: "changed",
  better: "better than before",
  worse: "worse than before",
  same: "the same",
};

interface CompletionsProps {
  /** The first is what the others are held against. */
  readonly columns: readonly CompletionColumn[];
}

/** The same held-out prompts, completed by several versions or models: side by side, differences marked. */
export function Completions({ columns }: CompletionsProps) {
  const [wanted, setLook] = useState<Look>("greedy");
  const [filter, setFilter] = useState<Change | "all">("all");
  const rows = useMemo(() => rowsOf(columns.map(({ evaluation }) => evaluation)), [columns]);
  const looks = looksOf(rows);
  const look = looks.includes(wanted) ? wanted : (looks[0] ?? wanted);
  const drawn: Drawn = look === "greedy" ? "greedy" : "sampled";
  const scale = useMemo(
    () =>
      scaleOf(
        rows.flatMap(({ examples }) => examples.flatMap((example) => example ?? [])),
        "divergence",
      ),
    [rows],
  );
  if (!rows.length) return <p>These evaluations kept no completions of the same prompts.</p>;
  const after = columns.findLastIndex(({ aside }) => !aside);
  const changes = rows.map((row) => changeOf(row, drawn, after));
  const shown = rows.filter((_, n) => filter === "all" || passes(changes[n] ?? "same", filter));
  return (
    <>
      <div class="tools">
        <label>
          <span class="small">Completions</span>{" "}
          <select value={look} onChange={(event) => setLook(event.currentTarget.value as Look)}>
            {looks.map((one) => (
              <option key={one} value={one}>
                {lookWords[one]}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span class="small">Show</span>{" "}
          <select value={filter} onChange={(event) => setFilter(event.currentTarget.value as Change | "all")}>
            {Object.entries(changeWords).map(([name, words]) => (
              <option key={name} value={name}>
                {words}
              </option>
            ))}
          </select>
        </label>
        {look === "divergence" ? <ScaleLegend scale={scale} /> : <MarkLegend columns={columns} />}
      </div>
      <p aria-live="polite">
        {summary(changes, shown.length, columns.length > 2 ? `${columns[after]?.name} against ${columns[0]?.name}: ` : "")}
      </p>
      {shown.map((row) => (
        <RowView key={row.key} row={row} columns={columns} look={look} scale={scale} />
      ))}
    </>
  );
}

/** What can be shown: evaluations of old runs have no greedy completions, and those without a teacher no divergence. */
function looksOf(rows: readonly Row[]): Look[] {
  const has = (test: (example: Example) => boolean) => rows.some(({ examples }) => examples.some((example) => example && test(example)));
  const looks: Look[] = has(({ greedy }) => greedy !== "") ? ["greedy", "sampled"] : ["sampled"];
  return has(({ divergence }) => divergence.length > 0) ? [...looks, "divergence"] : looks;
}

/** What became better or worse has changed, too. */
const passes = (change: Change, filter: Change): boolean => change === filter || (filter === "changed" && change !== "same");

function summary(changes: readonly Change[], shown: number, what: string): string {
  const count = (filter: Change) => changes.filter((change) => passes(change, filter)).length;
  const parts = [
    `${number(changes.length)} ${nounFor(changes.length, "prompt")}`,
    `${number(count("changed"))} completions changed`,
    `${number(count("better"))} better`,
    `${number(count("worse"))} worse`,
  ];
  return `${what}${parts.join(", ")}${shown === changes.length ? "" : `; ${number(shown)} shown`}.`;
}

function MarkLegend({ columns }: CompletionsProps) {
  const [first] = columns;
  return (
    <span class="small">
      {columns.length === 2 && (
        <>
          <del>only in {first?.name}</del> ·{" "}
        </>
      )}
      <ins>not in {first?.name}</ins>
    </span>
  );
}

interface RowProps {
  readonly row: Row;
  readonly columns: readonly CompletionColumn[];
  readonly look: Look;
  readonly scale: Scale;
}

const RowView = ({ row, columns, look, scale }: RowProps) => (
  <article
    class="beside"
    style={{ "--columns": columns.length, "--share": `${columns.length}fr` }}
    aria-label={`completions of: ${row.prompt.slice(0, 60)}`}
  >
    <div>
      <p class="prompt">{row.prompt}</p>
      {row.reference && (
        <p>
          <span class="small">reference</span> {row.reference}
        </p>
      )}
    </div>
    <div class="columns">
      {columns.map(({ name, evaluation }, n) => (
        <Cell key={name} name={name} metric={evaluation.metric} row={row} n={n} look={look} scale={scale} />
      ))}
    </div>
  </article>
);

interface CellProps extends Omit<RowProps, "columns"> {
  readonly name: string;
  readonly metric: string;
  readonly n: number;
}

function Cell({ name, metric, row, n, look, scale }: CellProps) {
  const example = row.examples[n];
  const drawn: Drawn = look === "greedy" ? "greedy" : "sampled";
  // A run that goes on is drawn again all the time, and long texts take a while to compare.
  const stretches = useMemo(() => (look === "divergence" ? [] : stretchesOf(row, n, drawn)), [row, n, look, drawn]);
  const said = example && verdict(qualityOf(example, drawn), metric);
  return (
    <div>
      <p class="small num">
        {name}
        {said && (
          <span class={said.right === undefined ? "" : said.right ? "right" : "wrong"}>
            {" · "}
            {said.right === undefined ? "" : said.right ? "✓ " : "✗ "}
            {said.words}
          </span>
        )}
      </p>
      {!example && <p class="small">not kept</p>}
      {example && look === "divergence" && <Tokens sample={example} scale={scale} name={`completion of ${name}`} />}
      {example && look !== "divergence" && <Marked stretches={stretches} tag={n === 0 ? "del" : "ins"} />}
    </div>
  );
}

/** A completion, with what it has that the first one hasn't; the first one, with what the second hasn't, where there are two. */
function stretchesOf({ examples }: Row, n: number, drawn: Drawn): readonly Stretch[] {
  const text = (at: number): string => {
    const example = examples[at];
    return example ? textOf(example, drawn) : "";
  };
  if (n > 0) return differences(text(0), text(n))[1];
  return examples.length === 2 && examples[1] ? differences(text(0), text(1))[0] : [{ text: text(0), own: false }];
}

function Marked({ stretches, tag: Tag }: { readonly stretches: readonly Stretch[]; readonly tag: "del" | "ins" }) {
  if (!stretches.some(({ text }) => text)) return <p class="small">an empty completion</p>;
  return (
    <p class="completion">
      {stretches.map(({ text, own }, n) =>
        // The key: a stretch is its place
        own ? <Tag key={n}>{text}</Tag> : <span key={n}>{text}</span>,
      )}
    </p>
  );
}
