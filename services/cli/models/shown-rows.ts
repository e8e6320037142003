import { counted } from "../../shared/base/counted.js";
import type { Outcome } from "../../shared/codec/examples.js";
import type { Tokenizer } from "../../shared/ml/text/tokenizer.js";

/** A row that the student cannot read. */
interface RefusedRow {
  readonly row: number;
  /** Its file and place. */
  readonly where: string;
  readonly refused: string;
}

/** A row as the student reads it. */
interface ReadRow {
  readonly row: number;
  readonly where: string;
  /** Why a run leaves it out; absent where it does not. */
  readonly dropped?: string;
  readonly prompt: string;
  /** Absent where the student writes it. */
  readonly completion?: string;
  /** Of prompt and completion together. */
  readonly ids: readonly number[];
  /** 1 for what is learnt. */
  readonly mask: readonly (0 | 1)[];
}

/** A row as it is shown. */
export type ShownRow = ReadRow | RefusedRow;

/** A row of a dataset as it is shown: refused, dropped, or as the student reads it. */
export function rowJson({ row, item, refusal }: Outcome, dropped: string | undefined, tokenizer: Tokenizer): ShownRow {
  const { number, where } = row;
  if (!item) return { row: number, where, refused: refusal ?? "" };
  const completion = item.completionIds ?? new Int32Array();
  return {
    row: number,
    where,
    ...(dropped ? { dropped } : {}),
    prompt: item.promptText,
    ...(item.completionIds ? { completion: tokenizer.decode(completion, { skipSpecial: false }) } : {}),
    ids: [...item.promptIds, ...completion],
    mask: [...Array.from(item.promptIds, () => 0 as const), ...Array.from(completion, () => 1 as const)],
  };
}

/** How long something is: at the median and at most. */
interface Spread {
  readonly median: number;
  readonly longest: number;
}

/** The spread of lengths; undefined of none. */
export const spread = (lengths: readonly number[]): Spread | undefined =>
  lengths.length
    ? { median: [...lengths].sort((a, b) => a - b)[lengths.length >> 1]!, longest: lengths.reduce((a, b) => Math.max(a, b)) }
    : undefined;

/** What a dataset comes to. */
export interface DataSummary {
  readonly data: string;
  readonly rows: number;
  readonly usable: number;
  readonly completed: number;
  readonly promptTokens: Spread | undefined;
  readonly completionTokens: Spread | undefined;
  readonly dropped: Readonly<Record<string, number>>;
  readonly refused: readonly { readonly where: string; readonly reason: string }[];
}

/** Refused rows that are listed. */
const listedRows = 20;

/** Summary and rows as text for people; of a row that was asked for, `whole`, every token. */
export function textOf(summary: DataSummary, shown: readonly ShownRow[], tokenizer: Tokenizer, whole: boolean): string {
  const { data, rows, usable, completed, promptTokens, completionTokens, dropped, refused } = summary;
  const tokens = (name: string, at: Spread | undefined) => (at ? `; ${name} tokens: median ${at.median}, longest ${at.longest}` : "");
  const lines = whole
    ? []
    : [
        `${data}: ${counted(rows, "row")}, ${usable} usable, ${completed} of them with a completion${tokens("prompt", promptTokens)}${tokens("completion", completionTokens)}`,
        ...Object.entries(dropped).map(([reason, count]) => `dropped: ${reason}: ${count}`),
        ...refused.slice(0, listedRows).map(({ where, reason }) => `refused: ${where}: ${reason}`),
        ...(refused.length > listedRows ? [`refused: and ${refused.length - listedRows} more`] : []),
      ];
  for (const one of shown) lines.push("", ...rowLines(one, tokenizer, whole));
  return lines.join("\n").trimStart();
}

function rowLines(shown: ShownRow, tokenizer: Tokenizer, whole: boolean): string[] {
  const head = `row ${shown.row} (${shown.where})`;
  if ("refused" in shown) return [`${head} is refused: ${shown.refused}`];
  const { dropped, prompt, completion, ids, mask } = shown;
  const texts = [
    dropped ? `${head} is dropped: ${dropped}` : head,
    `  prompt     ${JSON.stringify(prompt)}`,
    `  completion ${completion === undefined ? "none: the student writes it" : JSON.stringify(completion)}`,
  ];
  if (!whole) return [...texts, `  ids        ${ids.filter((_, i) => !mask[i]).join(" ")} | ${ids.filter((_, i) => mask[i]).join(" ")}`];
  const width = Math.max(...ids.map((id) => String(id).length));
  const tokens = ids.map((id, i) => {
    const place = String(i).padStart(String(ids.length).length);
    return `  ${place} ${mask[i] ? "learnt" : "      "} ${String(id).padStart(width)} ${JSON.stringify(tokenizer.idToToken(id) ?? "?")}`;
  });
  return [...texts, ...tokens];
}
