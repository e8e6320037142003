// Dimensions: B batch, T position, P position of a prompt, N tokens of a completion, R rows (completion tokens of all texts).
import type { Graph, Value } from "../../graph/graph.js";
import { float32, int32, type Tensor } from "../../graph/tensor.js";
import { maskedScore } from "../forward/attention.js";
import { positionsOf } from "../forward/positions.js";

/** A prompt and its completion, both in tokens. */
export interface SequenceText {
  readonly promptIds: Int32Array;
  readonly completionIds: Int32Array;
}

/** Texts as a forward pass reads them. */
export interface LaidOutTexts {
  /** The inputs that {@link SequenceInputs.declare} declares. */
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** [R]: place in the flattened [B·T] of the hidden state that predicts each completion token. */
  readonly places: BigInt64Array;
}

/** The inputs of a forward pass in a graph. */
export interface DeclaredTexts {
  /** int32 [B, T]: what the decoder reads. */
  readonly ids_BT: Value;
  /** int64 [B, T] */
  readonly positions_BT: Value;
  /** What an encoder reads before. */
  readonly prompts?: DeclaredPrompts;
}

/** Prompts as an encoder reads them. */
export interface DeclaredPrompts {
  /** int32 [B, P] */
  readonly ids_BP: Value;
  /** float32 [B, 1, 1, P]: 0 where there is a token, else the masked score. */
  readonly mask_B11P: Value;
}

/** What a family's forward pass over whole texts is fed, in scoring and in training. */
export interface SequenceInputs {
  /** Declares the inputs in a graph. */
  readonly declare: (graph: Graph) => DeclaredTexts;
  /** Tokens that a text takes in a batch, before padding: one number for each input that is padded by itself. */
  readonly lengths: (text: SequenceText) => readonly number[];
  /** Lays texts out, right-padded to the longest. */
  readonly layOut: (texts: readonly SequenceText[], padId: number) => LaidOutTexts;
}

/** A decoder reads prompt and completion as one text. The last token is predicted and never read, so it is no input. */
export const decoderInputs: SequenceInputs = {
  declare: (graph) => ({
    ids_BT: graph.input("ids", "int32", ["B", "T"]),
    positions_BT: graph.input("positions", "int64", ["B", "T"]),
  }),
  lengths: ({ promptIds, completionIds }) => [promptIds.length + completionIds.length - 1],
  layOut(texts, padId) {
    const { ids, dims, places } = readIds(texts, ({ promptIds }) => promptIds, padId);
    const positions = BigInt64Array.from({ length: ids.length }, (_, i) => BigInt(i % dims[1]));
    return { feeds: { ids: int32(ids, dims), positions: { dtype: "int64", dims, data: positions } }, places };
  },
};

/** An encoder-decoder reads the prompt with its encoder, and the completion, but for its last token, behind a start token. */
export const encoderDecoderInputs = (startId: number): SequenceInputs => ({
  declare(graph) {
    const ids_BT = graph.input("ids", "int32", ["B", "T"]);
    return { ids_BT, positions_BT: positionsOf(ids_BT), prompts: declarePrompts(graph) };
  },
  lengths: ({ promptIds, completionIds }) => [promptIds.length, completionIds.length],
  layOut(texts, padId) {
    const { ids, dims, places } = readIds(texts, () => Int32Array.of(startId), padId);
    const prompts = promptFeeds(
      texts.map(({ promptIds }) => promptIds),
      padId,
    );
    return { feeds: { ids: int32(ids, dims), ...prompts }, places };
  },
});

/** Declares the inputs that {@link promptFeeds} makes. */
export const declarePrompts = (graph: Graph): DeclaredPrompts => ({
  ids_BP: graph.input("promptIds", "int32", ["B", "P"]),
  mask_B11P: graph.input("promptMask", "float32", ["B", 1, 1, "P"]),
});

/** Prompts right-padded to the longest: promptIds int32 [B, P] and promptMask float32 [B, 1, 1, P]. */
export function promptFeeds(
  prompts: readonly Int32Array[],
  padId: number,
): { readonly promptIds: Tensor<"int32">; readonly promptMask: Tensor<"float32"> } {
  const longest = Math.max(...prompts.map(({ length }) => length));
  const ids = new Int32Array(prompts.length * longest).fill(padId);
  const mask = new Float32Array(ids.length).fill(maskedScore);
  prompts.forEach((prompt, b) => {
    ids.set(prompt, b * longest);
    mask.fill(0, b * longest, b * longest + prompt.length);
  });
  return { promptIds: int32(ids, [prompts.length, longest]), promptMask: float32(mask, [prompts.length, 1, 1, longest]) };
}

/**
 * What a decoder reads: what comes before each completion, then the completion but for its last token. `places` are those of
 * the tokens that predict one of the completion.
 */
function readIds(texts: readonly SequenceText[], before: (text: SequenceText) => Int32Array, padId: number) {
  const starts = texts.map(before);
  const time = Math.max(...texts.map(({ completionIds }, b) => (starts[b]?.length ?? 0) + completionIds.length - 1));
  const dims = [texts.length, time] as const;
  const ids = new Int32Array(texts.length * time).fill(padId);
  const places = new BigInt64Array(texts.reduce((sum, { completionIds }) => sum + completionIds.length, 0));
  let row = 0;
  texts.forEach(({ completionIds }, b) => {
    const start = starts[b] ?? new Int32Array();
    ids.set(start, b * time);
    ids.set(completionIds.subarray(0, -1), b * time + start.length);
    for (let n = 0; n < completionIds.length; n++) places[row++] = BigInt(b * time + start.length - 1 + n);
  });
  return { ids, dims, places };
}
