import { generator } from "../../../../../services/shared/base/random.js";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { blockSize, declareDrawing, drawFeeds, drawTokens, negatedUniform } from "../../../../../services/shared/ml/sampling/draw.js";
import type { SamplingParams } from "../../../../../services/shared/ml/sampling/params.js";
import { evaluate } from "../../../../support/graph/evaluate.js";

const plain: SamplingParams = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 1, stopIds: [] };

interface Draws {
  readonly tokens: number[];
  readonly logprobs: Float32Array;
  readonly samplingLogprobs: Float32Array;
}

/** Draws `rows` tokens from the same logits with numbers from `seed`. */
async function draw(logits: readonly number[], settings: Partial<SamplingParams>, rows = 2000, seed = 1n): Promise<Draws> {
  const params = { ...plain, ...settings };
  const graph = new Graph("draw");
  const vocab = logits.length;
  const uniforms = { block_B1: graph.input("block", "float32", ["B", 1]), token_B1: graph.input("token", "float32", ["B", 1]) };
  const drawn = drawTokens(graph.input("logits", "float32", ["B", vocab]), uniforms, declareDrawing(graph));
  const next = generator(seed);
  const numbers = () =>
    float32(
      Float32Array.from({ length: rows }, () => negatedUniform(next())),
      [rows, 1],
    );
  const feeds = {
    block: numbers(),
    token: numbers(),
    ...drawFeeds(params, vocab),
    logits: float32(
      Float32Array.from({ length: rows * vocab }, (_, i) => logits[i % vocab]!),
      [rows, vocab],
    ),
  };
  const { tokens_B1: tokens, logprobs_B1: logprobs, samplingLogprobs_B1: samplingLogprobs } = drawn;
  const out = await evaluate(graph, { tokens, logprobs, samplingLogprobs }, feeds);
  return {
    tokens: Array.from(out.tokens!.data as BigInt64Array, Number),
    logprobs: out.logprobs!.data as Float32Array,
    samplingLogprobs: out.samplingLogprobs!.data as Float32Array,
  };
}

function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const mass = logits.map((x) => Math.exp(x - top));
  const total = mass.reduce((a, b) => a + b, 0);
  return mass.map((x) => x / total);
}

/** The distribution to draw from, written plainly: sort, cut, renormalise. */
function reference(logits: readonly number[], { temperature, topK, topP }: SamplingParams): number[] {
  const p = softmax(logits.map((x) => x / temperature));
  const order = p.map((_, id) => id).sort((a, b) => p[b]! - p[a]! || a - b);
  let kept = topK > 0 ? order.slice(0, topK) : order;
  const mass = kept.reduce((sum, id) => sum + p[id]!, 0);
  let before = 0;
  kept = kept.filter((id) => {
    const stays = topP === 1 || before < topP;
    before += p[id]! / mass;
    return stays;
  });
  const total = kept.reduce((sum, id) => sum + p[id]!, 0);
  return p.map((x, id) => (kept.includes(id) ? x / total : 0));
}

/** Pearson's statistic over classes with an expectation of at least 5, the rest pooled; and its degrees of freedom. */
function chiSquare(tokens: readonly number[], p: readonly number[]): { statistic: number; freedom: number } {
  const counts = new Map<number, number>();
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  const rest = { seen: 0, expected: 0 };
  let statistic = 0;
  let classes = 0;
  p.forEach((x, id) => {
    const [seen, expected] = [counts.get(id) ?? 0, x * tokens.length];
    if (expected >= 5) {
      statistic += (seen - expected) ** 2 / expected;
      classes++;
    } else {
      rest.seen += seen;
      rest.expected += expected;
    }
  });
  if (rest.expected > 1) statistic += (rest.seen - rest.expected) ** 2 / rest.expected;
  return { statistic, freedom: classes - (rest.expected > 1 ? 0 : 1) };
}

const wavy = (vocab: number, height: number) => Array.from({ length: vocab }, (_, i) => height * Math.sin(i * 2.3) + Math.cos(i * 0.7));

describe("drawTokens()", () => {
  const cases: [string, number[], Partial<SamplingParams>][] = [
    ["one level", wavy(40, 2), {}],
    ["two levels without padding", wavy(300, 1), {}],
    ["two levels with padding (a prime vocabulary)", wavy(307, 1), {}],
    ["a temperature", wavy(300, 3), { temperature: 0.7 }],
    ["top-k", wavy(300, 1), { topK: 20 }],
    ["top-p among the likeliest", wavy(300, 6), { topP: 0.8 }],
    ["top-p that needs the whole vocabulary", wavy(300, 0.2), { topP: 0.9 }],
    ["temperature, top-k and top-p", wavy(300, 2), { temperature: 1.5, topK: 50, topP: 0.7 }],
  ];
  it.each(cases)("draws from the exact distribution: %s", async (_, logits, settings) => {
    const expected = reference(logits, { ...plain, ...settings });
    const { tokens, logprobs, samplingLogprobs } = await draw(logits, settings, 20_000);
    expect(tokens.filter((token) => expected[token] === 0)).toEqual([]);
    const { statistic, freedom } = chiSquare(tokens, expected);
    // Mean and deviation of chi-square are f and √(2f): five deviations.
    expect(statistic).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom));
    const p = softmax(logits);
    tokens.slice(0, 200).forEach((token, i) => {
      expect(samplingLogprobs[i]).toBeCloseTo(Math.log(expected[token]!), 4);
      expect(logprobs[i]).toBeCloseTo(Math.log(p[token]!), 4);
    });
  });

  it("takes the likeliest token when greedy, the lowest id on a tie", async () => {
    const { tokens, logprobs, samplingLogprobs } = await draw([0, 3, 1, 3], { temperature: 0 }, 3);
    expect(tokens).toEqual([1, 1, 1]);
    expect(logprobs[0]).toBeCloseTo(Math.log(softmax([0, 3, 1, 3])[1]!), 5);
    expect(Array.from(samplingLogprobs, Math.abs)).toEqual([0, 0, 0]);
  });

  it("keeps the lower ids when logits tie at the border of top-k", async () => {
    const { tokens } = await draw([1, 1, 1, 0], { topK: 2 }, 500);
    expect(new Set(tokens)).toEqual(new Set([0, 1]));
  });

  it("always keeps the likeliest token, however small top-p is", async () => {
    const { tokens, samplingLogprobs } = await draw(wavy(300, 0.1), { topP: 1e-6 }, 100);
    const likeliest = wavy(300, 0.1).indexOf(Math.max(...wavy(300, 0.1)));
    expect(new Set(tokens)).toEqual(new Set([likeliest]));
    expect(samplingLogprobs[0]).toBeCloseTo(0, 5);
  });

  it.each([40, 300, 307])("never draws a token of probability 0 (vocabulary %d)", async (vocab) => {
    const logits = Array.from({ length: vocab }, (_, i) => (i % 7 === 3 ? 0 : -1000));
    const { tokens } = await draw(logits, {}, 20_000);
    expect(tokens.filter((token) => token % 7 !== 3)).toEqual([]);
  });

  it("gives a finite log-probability to a token the model itself all but excludes", async () => {
    const { tokens, logprobs } = await draw([0, -200], { temperature: 200 }, 200);
    expect(new Set(tokens)).toEqual(new Set([0, 1]));
    expect(Math.min(...logprobs)).toBeCloseTo(-200, 3);
  });
});

describe("blockSize()", () => {
  it.each([
    [300, 20],
    [4096, 64],
    [32003, 179],
  ])("of %d is %d: a divisor near the root, else the root rounded up", (vocab, size) => {
    expect(blockSize(vocab)).toBe(size);
  });
});
