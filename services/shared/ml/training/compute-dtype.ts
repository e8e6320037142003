/** What matrix products of a step may be computed in, forward and backward. */
export const computeDtypes = ["float32", "bfloat16", "float16"] as const;

/** One of {@link computeDtypes}. */
export type ComputeDtype = (typeof computeDtypes)[number];
