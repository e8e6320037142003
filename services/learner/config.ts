import { z } from "zod";
import { modelSettings } from "../shared/base/settings.js";
import { weightDtypes } from "../shared/ml/models/precision/weight-dtypes.js";

/** Settings of a learner process. */
export const learnerSettings = modelSettings.extend({
  dtype: z
    .enum(weightDtypes)
    .exclude(["int8"])
    .optional()
    .describe(
      "what the base of an adapter is held in; without it as the checkpoint has it, float32 if it mixes dtypes. What is trained is float32",
    ),
});

/** Parsed {@link learnerSettings}. */
export type LearnerSettings = z.infer<typeof learnerSettings>;
