import { readFileSync } from "node:fs";
import { selfBleu } from "../../services/shared/ml/text/metrics/bleu.js";
import { textMetrics } from "../../services/shared/ml/text/metrics/table.js";

const measured = ["bleu", "bleu_characters", "rouge1", "rouge2", "rouge_l"] as const;

type Pair = { readonly candidate: string; readonly reference: string } & Readonly<Record<(typeof measured)[number], number>>;

const golden = JSON.parse(readFileSync("test/golden/fixtures/text/metrics.json", "utf8")) as {
  pairs: Pair[];
  sets: { texts: string[]; word: number; character: number }[];
};

describe.each(measured)("%s against rouge-score and sacrebleu", (metric) => {
  it.each(golden.pairs.map((pair) => [pair.candidate, pair] as const))("%j", (_, pair) => {
    expect(textMetrics[metric](pair.candidate, pair.reference)).toBeCloseTo(pair[metric], 12);
  });
});

describe("selfBleu() against sacrebleu with many references", () => {
  it.each(golden.sets.map((set) => [set.texts.join(" | "), set] as const))("%s", (_, { texts, word, character }) => {
    expect(selfBleu(texts)).toBeCloseTo(word, 12);
    expect(selfBleu(texts, "character")).toBeCloseTo(character, 12);
  });
});
