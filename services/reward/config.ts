import { modelSettings } from "../shared/base/settings.js";

/** Settings of a reward process. */
export const rewardSettings = modelSettings;
