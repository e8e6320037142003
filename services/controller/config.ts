import { z } from "zod";
import { processSettings } from "../shared/base/settings.js";

/** Settings of the controller. */
export const controllerSettings = processSettings.extend({
  port: z.coerce.number().int().min(0).max(65535).default(7070).describe("gRPC port; 0 takes a free one"),
  maxRestarts: z.coerce.number().int().min(0).default(3).describe("how often a process of a run is started again after a crash"),
});

export type ControllerSettings = z.infer<typeof controllerSettings>;
