import { z } from "zod";
import type { ForeignSettings } from "../shared/base/rpc/foreign-servers.js";
import { modelSettings } from "../shared/base/settings.js";
import { weightDtypes } from "../shared/ml/models/precision/weight-dtypes.js";
import { usualRows } from "../shared/ml/sampling/usual-rows.js";
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
  environmentTlsCa: z
    .string()
    .optional()
    .describe("path of the authority (PEM) of external environments at https:// addresses; default: the system's authorities")
    .meta({ needs: ["run"] }),
  environmentToken: z
    .string()
    .optional()
    .meta({ description: "bearer token that external environments ask for", secret: true, needs: ["run"] }),
  environmentTokenHosts: z
    .string()
    .default("")
    .describe("external environments that get the token: host:port, separated by commas; one that a run names and this does not gets none")
    .meta({ needs: ["environmentToken"] }),
  environmentTokenPlaintext: z
    .stringbool()
    .default(false)
    .describe("whether the token may go to other machines without TLS: true or false")
    .meta({ needs: ["environmentToken"] }),
  maxRows: z.coerce.number().int().min(1).default(usualRows).describe("most sequences that are written together"),
});

/** Parsed {@link studentSettings}. */
export type StudentSettings = z.infer<typeof studentSettings>;

/** How the environments of other programs are reached. */
export const foreignEnvironments = (settings: StudentSettings): ForeignSettings => ({
  kind: "environment",
  maxMessageBytes: settings.maxMessageBytes,
  tlsCa: settings.environmentTlsCa,
  token: settings.environmentToken,
  tokenHosts: settings.environmentTokenHosts,
  tokenPlaintext: settings.environmentTokenPlaintext,
});
