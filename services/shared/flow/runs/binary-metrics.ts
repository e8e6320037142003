/** Metrics that say of a completion whether it is right: their means are shares, and pass@k counts by them. */
export const binaryMetrics: readonly string[] = ["exact_match", "normalized_match", "numeric"];
