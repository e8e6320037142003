import { z } from "zod";
import { modelSettings } from "../shared/base/settings.js";

/** Settings of a teacher process. */
export const teacherSettings = modelSettings.extend({
  teacher: z.string().default("default").describe("name of the teacher in the run's spec"),
  batchTokens: z.coerce.number().int().min(1).default(8192).describe("most tokens of one forward, padding included"),
});

export type TeacherSettings = z.infer<typeof teacherSettings>;
