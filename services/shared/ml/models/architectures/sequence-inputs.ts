// Dimensions: B batch, T position, N tokens of a completion, R rows (completion tokens of all texts).
import type { Graph, Value } from "../../graph/graph.js";
import { int32, type Tensor } from "../../graph/tensor.js";

/** A prompt and its completion, both in tokens. */
export interface SequenceText {
  readonly promptIds: Int32Array;
  readonly completionIds: Int32Array;
}

/** Texts as a forward pass reads them. */
export interface LaidOutTexts {
  /** The inputs that {@link SequenceInputs.declare} declares. */
  readonly feeds: Readonly<Record<"ids" | "positions", Tensor>>;
  /** [R]: place in the flattened [B·T] of the hidden state that predicts each completion token. */
  readonly places: BigInt64Array;
}

/** What a family's forward pass over whole texts is fed, in scoring and in training. */
export interface SequenceInputs {
  /** Declares the inputs in a graph: int32 ids and int64 positions, [B, T] each. */
  readonly declare: (graph: Graph) => { readonly ids_BT: Value; readonly positions_BT: Value };
  /** Tokens that a text takes in a batch, before padding. */
  readonly length: (text: SequenceText) => number;
  /** Lays texts out, right-padded to the longest. */
  readonly layOut: (texts: readonly SequenceText[], padId: number) => LaidOutTexts;
}

/** A decoder reads prompt and completion as one text. The last token is predicted and never read, so it is no input. */
export const decoderInputs: SequenceInputs = {
  declare: (graph) => ({
    ids_BT: graph.input("ids", "int32", ["B", "T"]),
    positions_BT: graph.input("positions", "int64", ["B", "T"]),
  }),
  length: ({ promptIds, completionIds }) => promptIds.length + completionIds.length - 1,
  layOut(texts, padId) {
    const time = Math.max(...texts.map(decoderInputs.length));
    const ids = new Int32Array(texts.length * time).fill(padId);
    const places = new BigInt64Array(texts.reduce((sum, { completionIds }) => sum + completionIds.length, 0));
    let row = 0;
    texts.forEach(({ promptIds, completionIds }, b) => {
      ids.set(promptIds, b * time);
      ids.set(completionIds.subarray(0, -1), b * time + promptIds.length);
      for (let n = 0; n < completionIds.length; n++) places[row++] = BigInt(b * time + promptIds.length - 1 + n);
    });
    const dims = [texts.length, time];
    const positions = BigInt64Array.from({ length: ids.length }, (_, i) => BigInt(i % time));
    return { feeds: { ids: int32(ids, dims), positions: { dtype: "int64", dims, data: positions } }, places };
  },
};
