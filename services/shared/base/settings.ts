import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { z } from "zod";
import { RetortError } from "./errors.js";

/** What every role's process is told. Units are in the names. */
export const processSettings = z.strictObject({
  nats: z.string().default("nats://127.0.0.1:4222").describe("NATS servers: nats://host:port, separated by commas"),
  natsCredentials: z.string().optional().describe("path of a NATS credentials file"),
  host: z.string().default("127.0.0.1").describe("address to listen on"),
  port: z.coerce.number().int().min(0).max(65535).default(0).describe("gRPC port; 0 takes a free one"),
  healthPort: z.coerce.number().int().min(0).max(65535).default(0).describe("port of the health service; 0 takes a free one"),
  metricsPort: z.coerce.number().int().min(0).max(65535).default(0).describe("port of /metrics; 0 takes a free one"),
  dataDir: z.string().default(".retort").describe("directory for runs and weights"),
  tlsCert: z.string().optional().describe("path of the server's certificate (PEM)"),
  tlsKey: z.string().optional().describe("path of the server's key (PEM)"),
  tlsCa: z.string().optional().describe("path of the authority (PEM) whose certificates clients must show"),
  token: z.string().optional().describe("bearer token that callers must send"),
  maxMessageBytes: z.coerce
    .number()
    .int()
    .min(65536)
    .default(64 * 1024 * 1024)
    .describe("largest gRPC message"),
  logLevel: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
  logFormat: z.enum(["json", "pretty"]).default(process.stderr.isTTY ? "pretty" : "json"),
  graceMs: z.coerce.number().int().min(0).default(25_000).describe("how long a stop may take"),
});

/** What a role that runs a model is told besides. */
export const modelSettings = processSettings.extend({
  run: z.string().optional().describe("id of the run to serve; without it the role stands alone"),
  index: z.coerce.number().int().min(0).default(0).describe("number of this process among those of its role"),
  model: z.string().optional().describe("model directory, for a role that stands alone"),
  device: z.enum(["cpu", "cuda", "webgpu"]).default("cpu").describe("where the model runs"),
  threads: z.coerce.number().int().min(0).default(0).describe("threads inside one operator; 0 takes the machine's cores"),
});

export type ProcessSettings = z.infer<typeof processSettings>;
export type ModelSettings = z.infer<typeof modelSettings>;

/** The number of threads that a setting asks for. */
export const threadCount = (threads: number): number => threads || availableParallelism();

const camel = (flag: string): string => flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const upper = (name: string): string => `RETORT_${kebab(name).replaceAll("-", "_").toUpperCase()}`;

/**
 * Reads settings: flags (`--health-port 1`) win over the environment (RETORT_HEALTH_PORT), that over the defaults.
 *
 * @throws InvalidArgument that names every unknown or malformed setting
 */
export function readSettings<S extends z.ZodObject>(schema: S, argv: readonly string[], env: NodeJS.ProcessEnv): z.infer<S> {
  const names = Object.keys(schema.shape);
  const options = Object.fromEntries(names.map((name) => [kebab(name), { type: "string" as const }]));
  let flags: Record<string, string | undefined>;
  try {
    flags = parseArgs({ args: [...argv], options, strict: true }).values as Record<string, string | undefined>;
  } catch (error) {
    throw new RetortError(
      "InvalidArgument",
      `${(error as Error).message}; known settings: ${names.map((name) => `--${kebab(name)}`).join(" ")}`,
    );
  }
  const given: Record<string, string | undefined> = Object.fromEntries(
    names.flatMap((name) => (env[upper(name)] === undefined ? [] : [[name, env[upper(name)]]])),
  );
  for (const [flag, value] of Object.entries(flags)) given[camel(flag)] = value;
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => ({
    fieldPath: `--${kebab(String(path[0]))}`,
    description: `${message} (given: ${given[String(path[0])]})`,
  }));
  throw RetortError.ofProblems("settings", problems);
}
