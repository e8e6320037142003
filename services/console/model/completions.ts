import { diffWordsWithSpace } from "diff";
import type { EvaluationFinished, Example } from "../../shared/gen/retort/v1/events_pb.js";
import { isShare } from "./evaluation-table.js";

/** Which completions of an evaluation are read: the greedy ones, or the samples at the first temperature. */
export type Drawn = "greedy" | "sampled";

/** A stretch of a text: in both texts, or in this one alone. */
export interface Stretch {
  readonly text: string;
  readonly own: boolean;
}

/** A prompt with what each of several models, or versions of one, wrote for it. */
export interface Row {
  readonly key: string;
  readonly prompt: string;
  readonly reference: string;
  /** One per evaluation; undefined where it kept nothing of this prompt. */
  readonly examples: readonly (Example | undefined)[];
}

/** How a completion stands to that of the first evaluation. */
export type Change = "same" | "changed" | "better" | "worse";

/** Milliseconds after which two texts count as different as a whole: they have little in common then. */
const longestMs = 100;

const keyOf = ({ row, prompt }: Example): string => `${row} ${prompt}`;

/** The prompts that the first of the evaluations and another one kept, in the order of rows. */
export function rowsOf(evaluations: readonly EvaluationFinished[]): Row[] {
  const [first, ...others] = evaluations.map(({ examples }) => new Map(examples.map((example) => [keyOf(example), example])));
  return [...(first ?? [])].flatMap(([key, example]) => {
    const { prompt, reference } = example;
    const found = others.map((map) => map.get(key));
    return found.some(Boolean) || others.length === 0 ? [{ key, prompt, reference, examples: [example, ...found] }] : [];
  });
}

/** A completion's text. */
export const textOf = ({ greedy, completion }: Example, drawn: Drawn): string => (drawn === "greedy" ? greedy : completion);

/** What the metric says of it; undefined without a reference. */
export const qualityOf = ({ greedyQuality, quality }: Example, drawn: Drawn): number | undefined =>
  drawn === "greedy" ? greedyQuality : quality;

/** How one of a row's completions stands to its first. @param at which one; the last if absent */
export function changeOf({ examples }: Row, drawn: Drawn, at = examples.length - 1): Change {
  const [before, after] = [examples[0], examples[at]];
  if (!before || !after || textOf(before, drawn) === textOf(after, drawn)) return "same";
  const gain = (qualityOf(after, drawn) ?? 0) - (qualityOf(before, drawn) ?? 0);
  return gain > 0 ? "better" : gain < 0 ? "worse" : "changed";
}

/** Two texts word by word: what each has that the other hasn't. */
export function differences(before: string, after: string): readonly [before: readonly Stretch[], after: readonly Stretch[]] {
  const whole = (text: string): Stretch[] => (text ? [{ text, own: true }] : []);
  const changes = diffWordsWithSpace(before, after, { timeout: longestMs });
  if (!changes) return [whole(before), whole(after)];
  const side = (other: "added" | "removed") =>
    changes.filter((change) => !change[other]).map(({ value, added, removed }) => ({ text: value, own: added || removed }));
  return [side("added"), side("removed")];
}

/** What a metric says of one completion, in words; undefined where it says nothing. */
export function verdict(quality: number | undefined, metric: string): { readonly right?: boolean; readonly words: string } | undefined {
  if (quality === undefined) return undefined;
  if (!isShare(metric)) return { words: `${metric} ${quality.toFixed(3)}` };
  return quality >= 1 ? { right: true, words: "right" } : { right: false, words: "wrong" };
}
