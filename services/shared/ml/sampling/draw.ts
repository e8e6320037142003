// Dimensions: B batch rows, V vocabulary, N blocks, M tokens of a block (V ≤ N·M), W candidates in falling order.
import type { Graph, Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, int64 } from "../graph/tensor.js";
import type { SamplingParams } from "./params.js";

/** The two uniforms of one draw, fed negated ({@link negatedUniform}): which block of the vocabulary, which token in it. */
export interface Uniforms {
  /** float32 [B, 1] */
  readonly block_B1: Value;
  /** float32 [B, 1] */
  readonly token_B1: Value;
}

/** One token per row: int64 [B, 1], and its log-probabilities, float32 [B, 1]. */
export interface Drawn {
  readonly tokens_B1: Value;
  /** Under the model: log-softmax of its logits. */
  readonly logprobs_B1: Value;
  /** Under the distribution that was drawn from: temperature and truncation applied; 0 when greedy. */
  readonly samplingLogprobs_B1: Value;
}

/** Up to here one level of cumulative sums is as cheap as two. */
const oneLevel = 128;
/** Up to here a cumulative sum is a product with a triangle of ones, which beats the serial CumSum. */
const widestTriangle = 1024;
/** How many candidates top-p tries before it sorts the whole vocabulary. */
const nucleusGuess = 128;

/** 24 random bits as −u, u in (0, 1) and clear of both ends by more than the rounding of a cumulative sum. */
export const negatedUniform = (bits: number): number => -(((bits >>> 8) / 2 ** 24) * (1 - 2 ** -18) + 2 ** -19);

/** How tokens are drawn, as values of a graph. */
export interface DrawSettings {
  /** float32 []: divides the logits; 0 is greedy. */
  readonly temperature: Value;
  /** int64 [1]: keep the most probable tokens, so many; 0 keeps all. */
  readonly topK: Value;
  /** float32 []: keep tokens, in falling order, while those before them have less mass; beyond 1 all are kept. */
  readonly topP: Value;
  /** Nothing changes the model's own distribution. Each of these is bool [], or known when the graph is made. */
  readonly isPlain: Value | boolean;
  /** The likeliest token is taken. */
  readonly isGreedy: Value | boolean;
  /** There are tokens that are never drawn. */
  readonly isTruncated: Value | boolean;
  /** A number of tokens is kept. */
  readonly isCounted: Value | boolean;
}

/** Declares how tokens are drawn as inputs of a graph: {@link drawFeeds}. */
export function declareDrawing(graph: Graph): DrawSettings {
  const temperature = graph.input("temperature", "float32", []);
  const topK = graph.input("topK", "int64", [1]);
  const topP = graph.input("topP", "float32", []);
  const isCounted = op.squeeze(op.greater(topK, graph.constant(int64([0]))), [0]);
  const isTruncated = op.not(op.and(op.not(isCounted), op.greater(topP, 1)));
  const isPlain = op.and(op.equal(temperature, 1), op.not(isTruncated));
  return { temperature, topK, topP, isPlain, isGreedy: op.equal(temperature, 0), isTruncated, isCounted };
}

/** The way of drawing that settings ask for: a graph may be made for it alone. */
export type DrawKind = Readonly<Record<"isPlain" | "isGreedy" | "isTruncated" | "isCounted", boolean>>;

/** Which way settings ask for. */
export function drawKindOf(
  { temperature, topK, topP }: Omit<SamplingParams, "maxNewTokens" | "stopIds" | "topIds">,
  vocab: number,
): DrawKind {
  const isCounted = topK > 0 && topK < vocab;
  const isTruncated = isCounted || topP < 1;
  return { isPlain: temperature === 1 && !isTruncated, isGreedy: temperature === 0, isTruncated, isCounted };
}

/** Declares how tokens are drawn in a graph that does so in one way: of {@link drawFeeds} it has those as inputs that it reads. */
export function declareDrawingOf(graph: Graph, kind: DrawKind): DrawSettings {
  const once = (make: () => Value) => {
    let made: Value | undefined;
    return () => {
      made ??= make();
      return made;
    };
  };
  const temperature = once(() => graph.input("temperature", "float32", []));
  const topK = once(() => graph.input("topK", "int64", [1]));
  const topP = once(() => graph.input("topP", "float32", []));
  return {
    ...kind,
    get temperature() {
      return temperature();
    },
    get topK() {
      return topK();
    },
    get topP() {
      return topP();
    },
  };
}

/** What {@link declareDrawing} declares. */
export const drawFeeds = ({ temperature, topK, topP }: SamplingParams, vocab: number) => ({
  temperature: float32([temperature], []),
  topK: int64([topK < vocab ? topK : 0]),
  topP: float32([topP < 1 ? topP : 2], []),
});

type Branch = (...reads: Value[]) => readonly Value[];

const float = { dtype: "float32", shape: ["B", 1] } as const;
const integer = { dtype: "int64", shape: ["B", 1] } as const;

/**
 * Draws one token per row from softmax(logits / temperature), truncated to top-k, then top-p.
 *
 * Without truncation the inverse CDF works on two levels, a block of tokens by its mass and a token inside it, so that no
 * sum runs serially over the vocabulary and nothing is sorted. With truncation it works on the kept candidates. What the
 * settings do not ask for is not computed.
 *
 * @param logits_BV float32
 * @param drawable_BV the logits with those out of reach that must not be drawn; log-probabilities under the model are of all
 */
export function drawTokens(logits_BV: Value, uniforms: Uniforms, settings: DrawSettings, drawable_BV: Value = logits_BV): Drawn {
  const all = drawable_BV === logits_BV;
  const scored = (logits: Value, tokens_B1: Value) => op.gatherElements(op.logSoftmax(logits), tokens_B1);
  const plain = (logits: Value, drawable: Value): Value[] => {
    const { tokens_B1, probability_B1 } = drawPlain(op.softmax(drawable), uniforms);
    const sampled_B1 = op.log(probability_B1);
    return [tokens_B1, all ? sampled_B1 : scored(logits, tokens_B1), sampled_B1];
  };
  const greedy = (logits: Value, drawable: Value): Value[] => {
    const tokens_B1 = op.argMax(drawable, -1, true);
    const logprobs_B1 = scored(logits, tokens_B1);
    return [tokens_B1, logprobs_B1, op.mul(logprobs_B1, 0)];
  };
  const shaped = (logits: Value, drawable: Value): Value[] => {
    const p_BV = op.softmax(op.div(drawable, settings.temperature));
    const pick = (make: (p: Value) => Pick) => (p: Value) => {
      const { tokens_B1, probability_B1 } = make(p);
      return [tokens_B1, probability_B1];
    };
    const truncated = pick((p) => drawTruncated(p, uniforms, settings));
    const picked = op.choose(
      settings.isTruncated,
      [p_BV],
      truncated,
      pick((p) => drawPlain(p, uniforms)),
      [integer, float],
    );
    const [tokens_B1, probability_B1] = picked as [Value, Value];
    return [tokens_B1, scored(logits, tokens_B1), op.log(probability_B1)];
  };
  const types = [integer, float, float];
  const otherwise = (...reads: Value[]) => op.choose(settings.isGreedy, reads, greedy as Branch, shaped as Branch, types);
  const drawn = op.choose(settings.isPlain, [logits_BV, drawable_BV], plain as Branch, otherwise, types);
  const [tokens_B1, logprobs_B1, samplingLogprobs_B1] = drawn as [Value, Value, Value];
  return { tokens_B1, logprobs_B1, samplingLogprobs_B1 };
}

interface Pick {
  readonly tokens_B1: Value;
  readonly probability_B1: Value;
}

const drawPlain = (p_BV: Value, uniforms: Uniforms): Pick => picked(p_BV, inverseCdf(p_BV)(uniforms));

/**
 * Prepares independent draws from the rows of p [B, V]: each call gives one token per row, int64 [B, 1]. What does not
 * depend on the uniforms is computed once, where p is, also if the draws are made inside a Loop.
 */
export function inverseCdf(p_BV: Value): (uniforms: Uniforms) => Value {
  const vocab = p_BV.shape[1] as number;
  if (vocab <= oneLevel) return ({ token_B1 }) => firstAbove(p_BV, token_B1);
  const size = blockSize(vocab);
  const blocks = Math.ceil(vocab / size);
  const p_BNM = op.reshape(padded(p_BV, blocks * size), [p_BV.shape[0]!, blocks, size]);
  const mass_BN = normalised(op.reduceSum(p_BNM, [2]));
  return ({ block_B1, token_B1 }) => {
    const at_B1 = firstAbove(mass_BN, block_B1);
    const inside_B1 = firstAbove(normalised(op.gatherRows(p_BNM, at_B1)), token_B1);
    return op.add(op.mul(at_B1, p_BV.graph.constant(int64([size], []))), inside_B1);
  };
}

const picked = (p_BV: Value, tokens_B1: Value): Pick => ({ tokens_B1, probability_B1: op.gatherElements(p_BV, tokens_B1) });

function drawTruncated(p_BV: Value, { token_B1 }: Uniforms, settings: DrawSettings): Pick {
  const { topK, topP, isCounted } = settings;
  const counted = (p: Value): readonly Value[] => {
    const [best_BW, ids_BW] = op.topK(p, topK);
    return [normalised(best_BW), ids_BW];
  };
  const [best_BW, ids_BW] = op.choose(isCounted, [p_BV], counted, (p) => nucleus(p, topP), candidates) as [Value, Value];
  // A token stays while the mass before it is below topP: never empty, and the one that crosses the line stays.
  const stays_BW = op.less(op.cumSum(best_BW, 1, { exclusive: true }), topP);
  const q_BW = normalised(op.mul(best_BW, op.cast(stays_BW, "float32")));
  const at_B1 = firstAbove(q_BW, token_B1);
  return { tokens_B1: op.gatherElements(ids_BW, at_B1), probability_B1: op.gatherElements(q_BW, at_B1) };
}

/** Probabilities in falling order, and the ids they belong to. */
const candidates = [
  { dtype: "float32", shape: ["B", "W"] },
  { dtype: "int64", shape: ["B", "W"] },
] as const;

/** Probabilities in falling order that hold at least topP, with their ids: few if few do for every row, else all. */
function nucleus(p_BV: Value, topP: Value): readonly Value[] {
  const vocab = p_BV.shape[1] as number;
  if (vocab <= nucleusGuess) return op.topK(p_BV, vocab);
  const [few_BW, fewIds_BW] = op.topK(p_BV, nucleusGuess);
  const enough = op.greater(op.reduceMin(op.reduceSum(few_BW, [1])), op.add(topP, 1e-5));
  const few = (...[few_BW, fewIds_BW]: Value[]) => [few_BW, fewIds_BW] as Value[];
  return op.choose(enough, [few_BW, fewIds_BW, p_BV], few, (_few, _ids, p) => op.topK(p as Value, vocab), candidates);
}

const normalised = (p: Value): Value => op.div(p, op.reduceSum(p, [1], true));

/** Index of the first element at which the running sum of p [B, W] exceeds u: int64 [B, 1]. `negated_B1` is −u. */
function firstAbove(p_BW: Value, negated_B1: Value): Value {
  const width = p_BW.shape[1]!;
  const short = typeof width === "number" && width <= widestTriangle;
  const over_BW = short ? op.gemm(p_BW, triangle(p_BW, width), negated_B1) : op.add(op.cumSum(p_BW, 1), negated_B1);
  return op.argMax(op.sign(over_BW), 1, true);
}

/** [W, W]: 1 on and above the diagonal, so that p · triangle is the inclusive running sum. */
function triangle({ graph }: Value, width: number): Value {
  const data = new Float32Array(width * width);
  for (let row = 0; row < width; row++) data.fill(1, row * width + row, (row + 1) * width);
  return graph.constantNamed(`triangle.${graph.name}.${width}`, float32(data, [width, width]));
}

/** A divisor of the vocabulary's size near its root, so that blocks need no padding; else the root rounded up. */
export function blockSize(vocab: number): number {
  const root = Math.sqrt(vocab);
  const divisors = Array.from({ length: Math.floor(3 * root) }, (_, i) => i + 1).filter((size) => vocab % size === 0 && size * 3 >= root);
  const distance = (size: number) => Math.abs(Math.log(size / root));
  return divisors.length ? divisors.reduce((a, b) => (distance(b) < distance(a) ? b : a)) : Math.ceil(root);
}

/** Zeros behind the last column, up to `width` columns. */
function padded(p_BV: Value, width: number): Value {
  const missing = width - (p_BV.shape[1] as number);
  if (missing === 0) return p_BV;
  const { graph } = p_BV;
  const sizes = op.concat([op.dimOf(p_BV, 0), graph.constant(int64([missing]))], 0);
  return op.concat([p_BV, op.constantOfShape(sizes, [p_BV.shape[0]!, missing], op.fillOf("float32", 0))], 1);
}
