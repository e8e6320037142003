import { z } from "zod";
import { modelSettings } from "../shared/base/settings.js";

/** Settings of a learner process. */
export const learnerSettings = modelSettings.extend({
  dtype: z.literal("float32").default("float32").describe("what the weights are held in: a learner trains in float32"),
  seed: z.coerce.number().int().min(0).default(0).describe("seed, for a learner that stands alone"),
});

/** Parsed {@link learnerSettings}. */
export type LearnerSettings = z.infer<typeof learnerSettings>;
