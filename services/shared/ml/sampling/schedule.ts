// Dimensions: B rows, H heads, P tokens of the row that has most, U keys.
import type { ModelConfig } from "../models/config/model-config.js";
import type { Row } from "./row.js";
import { cachedLength } from "./row-cache.js";
import type { RunLength } from "./run-feeds.js";

/** Bytes that the scores of a layer may take. */
const mostScoreBytes = 2 ** 28;

/**
 * How long rows are written together. While requests wait, a run ends as soon as an eighth of the rows have, so that places
 * are not empty for long; with none waiting when a quarter have, so that the rest costs less. Rows that cannot end before each
 * other are written to their end.
 */
export function lengthOfRun(rows: readonly Row[], chunkTokens: number, isAnyWaiting: boolean): RunLength {
  const steps = Math.min(chunkTokens, Math.max(...rows.map(({ room }) => room)));
  const endsTogether = rows.every(({ room, params }) => room === steps && params.stopIds.length === 0);
  if (endsTogether) return { steps, enough: 0 };
  const ended = Math.max(1, Math.floor(rows.length * (isAnyWaiting ? 1 / 8 : 1 / 4)));
  return { steps, enough: rows.length - ended };
}

/** Most bytes of keys and values that a run reads before they go to what is cached: a step holds them twice, before and behind it. */
const mostReadBytes = 2 ** 23;

/** The same of texts that are read together. */
const mostTextBytes = 2 ** 26;

/** Bytes of the keys and values of a token. */
const tokenBytes = ({ layers, kvHeads, headDim }: ModelConfig): number => layers * 2 * kvHeads * headDim * Float32Array.BYTES_PER_ELEMENT;

/** Most steps of a run of so many rows. */
export const stepsWithin = (config: ModelConfig, rows: number): number =>
  Math.max(1, Math.floor(mostReadBytes / (rows * tokenBytes(config))));

/** From so many tokens on a text is read in a run of its own: what a run reads is copied once with every token that it draws. */
const longText = 4;

/**
 * The rows that read together, and draw one token, before all rows go on: those with long texts, in groups; and with them all
 * others, where that costs less than to read the weights once more for them. In attention each row is padded to the longest.
 *
 * @param parameters of the model
 */
export function groupsToRead(config: ModelConfig, parameters: number, rows: readonly Row[]): Row[][] {
  const { layers, heads, headDim } = config;
  const fresh = rows.filter(({ unread }) => unread.length >= longText).sort((a, b) => b.unread.length - a.unread.length);
  const [longest] = fresh;
  if (!longest) return [];
  const time = longest.unread.length;
  const stored = Math.max(...rows.map(({ cached }) => cachedLength(cached)));
  const scores = (count: number, longest: number, keys: number) => count * heads * longest * keys;
  const padding = scores(rows.length - fresh.length, time, stored + time) * layers * headDim * 4;
  const weightsOnceMore = 2 * parameters * freeTokens;
  const fits = (count: number, longest: number, keys: number) =>
    scores(count, longest, keys) * 4 <= mostScoreBytes && count * longest * tokenBytes(config) <= mostTextBytes;
  if (padding < weightsOnceMore && fits(rows.length, time, stored + time)) return [[...rows]];
  const groups: Row[][] = [];
  let widest = 0;
  for (const row of fresh) {
    const last = groups.at(-1);
    if (last && fits(last.length + 1, widest, widest)) last.push(row);
    else {
      groups.push([row]);
      widest = row.unread.length;
    }
  }
  return groups;
}

/** Reading a model's weights once takes about as long as computing with them for so many tokens. */
const freeTokens = 16;
