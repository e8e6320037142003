// Dimensions: B batch, T position, P position of a prompt, N tokens of a completion, R rows (completion tokens of all texts).
import { counted } from "../../../base/counted.js";
import type { Graph, Value } from "../../graph/graph.js";
import { float32, int32, type Tensor } from "../../graph/tensor.js";
import { maskedScore } from "../forward/attention.js";
import { positionsOf } from "../forward/positions.js";

/** What another wrote between two turns of a completion: it is read, and never predicted. */
export interface ReplyText {
  /** Completion tokens before it, at least one; there are more behind it. */
  readonly at: number;
  readonly ids: Int32Array;
}

/** A prompt and its completion, both in tokens. */
export interface SequenceText {
  readonly promptIds: Int32Array;
  readonly completionIds: Int32Array;
  /** In rising order of `at`; absent where the completion is one turn. */
  readonly replies?: readonly ReplyText[];
}

/** Tokens of replies together. */
export const replyTokens = ({ replies = [] }: Pick<SequenceText, "replies">): number =>
  replies.reduce((sum, { ids }) => sum + ids.length, 0);

/** Tokens of a text, from the prompt's first to the completion's last. */
export const textLength = (text: SequenceText): number => text.promptIds.length + text.completionIds.length + replyTokens(text);

/** What is read behind the prompt: the completion with the replies in their places, and the place of each completion token in it. */
export function behindPrompt({ completionIds, replies = [] }: Omit<SequenceText, "promptIds">): {
  readonly ids: Int32Array;
  readonly places: Int32Array;
} {
  const ids = new Int32Array(completionIds.length + replyTokens({ replies }));
  const places = new Int32Array(completionIds.length);
  let [shift, next] = [0, 0];
  for (let n = 0; n < completionIds.length; n++) {
    for (let reply = replies[next]; reply?.at === n; reply = replies[++next]) {
      ids.set(reply.ids, n + shift);
      shift += reply.ids.length;
    }
    places[n] = n + shift;
    ids[n + shift] = completionIds[n]!;
  }
  return { ids, places };
}

/** Why replies don't belong between a completion's tokens; undefined if they do. */
export function replyFault({ completionIds, replies = [] }: Pick<SequenceText, "completionIds" | "replies">): string | undefined {
  let before = 0;
  for (const [i, { at, ids }] of replies.entries()) {
    if (ids.length === 0) return `replies[${i}] has no tokens`;
    if (!(at > before && at < completionIds.length))
      return `replies[${i}].at is ${at}; it must lie above ${before} and below the completion's ${counted(completionIds.length, "token")}`;
    before = at;
  }
  return undefined;
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
  lengths: (text) => [textLength(text) - 1],
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
  lengths: (text) => [text.promptIds.length, text.completionIds.length + replyTokens(text)],
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
 * What a decoder reads: what comes before each completion, then the completion and its replies but for the last token. `places`
 * are those of the tokens that predict one of the completion: a reply's last token predicts the turn behind it.
 */
function readIds(texts: readonly SequenceText[], before: (text: SequenceText) => Int32Array, padId: number) {
  const parts = texts.map((text) => ({ start: before(text), rest: behindPrompt(text) }));
  const time = Math.max(...parts.map(({ start, rest }) => start.length + rest.ids.length - 1));
  const dims = [texts.length, time] as const;
  const ids = new Int32Array(texts.length * time).fill(padId);
  const places = new BigInt64Array(texts.reduce((sum, { completionIds }) => sum + completionIds.length, 0));
  let row = 0;
  for (const [b, { start, rest }] of parts.entries()) {
    ids.set(start, b * time);
    ids.set(rest.ids.subarray(0, -1), b * time + start.length);
    for (const place of rest.places) places[row++] = BigInt(b * time + start.length - 1 + place);
  }
  return { ids, dims, places };
}
