import type { SequenceScore } from "../../gen/retort/v1/flow_pb.js";

type Arrays = Omit<SequenceScore, "$typeName" | "$unknown" | "failure">;

/** Bytes that the arrays of a sequence's score take on the wire. */
export function payloadBytes(score: { readonly [Name in keyof Arrays]?: { readonly data?: Uint8Array } | undefined }): number {
  const { logprobs, full, ids, topLogprobs, tailLogprobs, hidden, counts, entropy, byteLengths } = score;
  const arrays: { readonly [Name in keyof Required<Arrays>]: { readonly data?: Uint8Array } | undefined } = {
    logprobs,
    full,
    ids,
    topLogprobs,
    tailLogprobs,
    hidden,
    counts,
    entropy,
    byteLengths,
  };
  return Object.values(arrays).reduce((sum, array) => sum + (array?.data?.length ?? 0), 0);
}
