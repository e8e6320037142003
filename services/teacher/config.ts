import { z } from "zod";
import { modelSettings } from "../shared/base/settings.js";
import { weightDtypes } from "../shared/ml/models/precision/weight-dtypes.js";
import { openaiPort } from "../shared/openai/serve.js";

/** Settings of a teacher process. */
export const teacherSettings = modelSettings.extend({
  openaiPort: openaiPort.meta({ notWith: ["describeOnly"] }),
  describeOnly: z
    .stringbool()
    .default(false)
    .describe("only describe models, those that callers name among them, and read no weights: true or false"),
  dtype: z
    .enum(weightDtypes)
    .optional()
    .describe("what the weights are held in; without it as the checkpoint has them, float32 if it mixes dtypes")
    .meta({ notWith: ["describeOnly"] }),
  run: modelSettings.shape.run.meta({ notWith: ["pool", "describeOnly"] }),
  // A run's teacher may be named by its processes alone.
  model: modelSettings.shape.model.meta({ notWith: [] }),
  teacher: z
    .string()
    .default("default")
    .describe("name of the teacher in the run's spec")
    .meta({ needs: ["run"] }),
  pool: z
    .string()
    .optional()
    .describe("pool of runs that this process serves, instead of one run; the controller says so")
    .meta({ notWith: ["describeOnly"] }),
  batchTokens: z.coerce
    .number()
    .int()
    .min(1)
    .default(8192)
    .describe("most tokens of one forward, padding included")
    .meta({ notWith: ["describeOnly"] }),
  vocabSize: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .describe("rows of the vocabulary that distributions range over, the first ones; 0 for all. In a run the run says so")
    .meta({ notWith: ["describeOnly"] }),
  serverTokenHosts: z
    .string()
    .default("")
    .describe("servers of other machines (teachers[].server) that get the token that a run names: host:port, separated by commas")
    .meta({ needs: ["run", "pool", "describeOnly"] }),
  serverTokenPlaintext: z
    .stringbool()
    .default(false)
    .describe("whether servers' tokens may go to other machines without TLS: true or false")
    .meta({ needs: ["run", "pool", "describeOnly"] }),
  scoreCacheBytes: z.coerce
    .number()
    .int()
    .min(0)
    .default(2 * 1024 ** 3)
    .describe("bytes of dataDir that scores of dataset text may take, to be used again over epochs and runs; 0 keeps none")
    .meta({ needs: ["run", "pool"] }),
});

/** Parsed {@link teacherSettings}. */
export type TeacherSettings = z.infer<typeof teacherSettings>;
