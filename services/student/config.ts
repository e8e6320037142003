import { z } from "zod";
import { modelSettings } from "../shared/base/settings.js";
import { weightDtypes } from "../shared/ml/models/precision/weight-dtypes.js";
import { openaiPort } from "../shared/openai/serve.js";

/** Settings of a student process. */
export const studentSettings = modelSettings.extend({
  openaiPort,
  dtype: z.enum(weightDtypes).exclude(["int8"]).default("float32").describe("what the weights are held in"),
  chunkTokens: z.coerce
    .number()
    .int()
    .min(1)
    .default(64)
    .describe("most tokens per call into the runtime; finished rows leave between calls, and waiting ones take their places"),
  maxRows: z.coerce.number().int().min(1).default(64).describe("most sequences that are written together"),
});

/** Parsed {@link studentSettings}. */
export type StudentSettings = z.infer<typeof studentSettings>;
