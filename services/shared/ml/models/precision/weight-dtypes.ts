/** Element types that a model's weights may have while it samples and scores; on the CPU activations are float32 with all of them. */
export const weightDtypes = ["float32", "float16", "bfloat16", "int8"] as const;

/** One of {@link weightDtypes}. `int8`: the linears and the head in blocks of 8-bit integers, the others as they are stored. */
export type WeightDtype = (typeof weightDtypes)[number];
