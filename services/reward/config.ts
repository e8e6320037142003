import { z } from "zod";
import { modelSettings } from "../shared/base/settings.js";

/** Settings of a reward process. */
export const rewardSettings = modelSettings.extend({
  rewardTlsCa: z
    .string()
    .optional()
    .describe("path of the authority (PEM) of external reward servers at https:// addresses; default: the system's authorities"),
  rewardToken: z.string().optional().meta({ description: "bearer token that external reward servers ask for", secret: true }),
});

export type RewardSettings = z.infer<typeof rewardSettings>;
