import { z } from "zod";
import { modelSettings } from "../shared/base/settings.js";

/** Settings of a learner process. */
export const learnerSettings = modelSettings.extend({
  seed: z.coerce.number().int().min(0).default(0).describe("seed, for a learner that stands alone"),
});

/** Parsed {@link learnerSettings}. */
export type LearnerSettings = z.infer<typeof learnerSettings>;
