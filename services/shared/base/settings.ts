import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { z } from "zod";
import { RetortError } from "./errors.js";
import { redactUrl } from "./redact-url.js";
import { readRegularSync } from "./regular-files.js";
import { flagOf, unreadSettings } from "./unread-settings.js";
import { parseYaml } from "./yaml.js";
import { mostYamlBytes } from "./yaml-document.js";

/** What every role's process is told. Units are in the names. */
export const processSettings = z.strictObject({
  nats: z
    .string()
    .default("nats://127.0.0.1:4222")
    .meta({ description: "NATS servers: nats://host:port, separated by commas", variable: "RETORT_NATS_URL", url: true }),
  natsCredentials: z.string().optional().describe("path of a NATS credentials file"),
  natsLogins: z
    .string()
    .optional()
    .describe("directory with a file named as the role that holds its password for NATS; the user's name is the role's"),
  natsTlsCa: z.string().optional().describe("path of the authority (PEM) that the NATS servers' certificates come from"),
  natsTlsCert: z.string().optional().describe("path of this client's certificate (PEM), for NATS servers that ask for one"),
  natsTlsKey: z.string().optional().describe("path of this client's key (PEM)"),
  natsReplicas: z.coerce
    .number()
    .int()
    .min(1)
    .max(5)
    .optional()
    .describe(
      "servers of a NATS cluster that keep each stream and bucket, 3 for one; without it one, and what is there already stays as it is",
    ),
  host: z.string().default("127.0.0.1").describe("address to listen on"),
  port: z.coerce.number().int().min(0).max(65535).default(0).describe("gRPC port; 0 takes a free one"),
  healthPort: z.coerce.number().int().min(0).max(65535).default(0).describe("port of the health service; 0 takes a free one"),
  metricsPort: z.coerce.number().int().min(0).max(65535).default(0).describe("port of /metrics; 0 takes a free one"),
  weightStore: z
    .enum(["directory", "nats", "s3"])
    .default("directory")
    .describe("where policy versions are kept: in dataDir, which all roles then share, in NATS, or in a bucket of S3"),
  weightUrl: z
    .string()
    .optional()
    .describe("bucket of the s3 weight store, as s3://bucket/prefix")
    .meta({ needs: ["weightStore=s3"] }),
  oneMachine: z
    .stringbool()
    .default(false)
    .describe(
      "all roles are on this machine, so that policy versions are written over old ones and hashed only when they are taken out: true or false",
    )
    .meta({ needs: ["weightStore=directory"] }),
  s3Endpoint: z
    .url()
    .optional()
    .meta({ description: "S3 server other than Amazon's, as http://host:port", variable: "AWS_ENDPOINT_URL_S3", url: true }),
  dataDir: z.string().default(".retort").describe("directory for runs and weights"),
  tlsCert: z.string().optional().describe("path of the server's certificate (PEM)"),
  tlsKey: z.string().optional().describe("path of the server's key (PEM)"),
  tlsCa: z
    .string()
    .optional()
    .describe("path of the authority (PEM) whose certificates clients must show")
    .meta({ needs: ["tlsCert"] }),
  token: z.string().optional().meta({ description: "bearer token that permits everything; with it, callers must show one", secret: true }),
  runToken: z.string().optional().meta({ description: "bearer token that permits runs and the use of models (scope run)", secret: true }),
  readToken: z.string().optional().meta({ description: "bearer token that permits to look (scope read)", secret: true }),
  maxCalls: z.coerce.number().int().min(1).max(1_000_000).default(1000).describe("most gRPC calls in progress, streams included"),
  roots: z.string().optional().describe("directories, separated by commas, that paths named by callers must lie in; default: any path"),
  outputRoots: z.string().optional().describe("directories that callers may have written to; default: roots"),
  maxMessageBytes: z.coerce
    .number()
    .int()
    .min(65536)
    .default(64 * 1024 * 1024)
    .describe("largest gRPC message"),
  logLevel: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
  logFormat: z.enum(["json", "pretty"]).default(process.stderr.isTTY ? "pretty" : "json"),
  traceEndpoint: z.url().optional().meta({
    description: "OTLP/HTTP endpoint that receives traces, as http://host:4318",
    variable: "OTEL_EXPORTER_OTLP_ENDPOINT",
    url: true,
  }),
  exitWithParent: z.stringbool().default(false).describe("stop when the process that started this one is gone: true or false"),
  graceMs: z.coerce.number().int().min(0).default(25_000).describe("how long a stop may take"),
});

/** What every process of a run is told besides. */
export const memberSettings = processSettings.extend({
  run: z.string().optional().describe("id of the run to serve; without it the role stands alone"),
  index: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .describe("number of this process among its like; without it the host's name tells them apart")
    .meta({ needs: ["run", "pool"] }),
  device: z.enum(["cpu", "cuda", "webgpu"]).default("cpu").describe("where the model runs"),
  threads: z.coerce.number().int().min(0).default(0).describe("threads inside one operator; 0 takes the machine's cores"),
});

/** What a role that runs a model of its own is told besides. */
export const modelSettings = memberSettings.extend({
  model: z
    .string()
    .optional()
    .describe("model directory, for a role that stands alone")
    .meta({ notWith: ["run"] }),
});

/** Parsed {@link processSettings}. */
export type ProcessSettings = z.infer<typeof processSettings>;
/** Parsed {@link memberSettings}. */
export type MemberSettings = z.infer<typeof memberSettings>;
/** Parsed {@link modelSettings}. */
export type ModelSettings = z.infer<typeof modelSettings>;

/** The number of threads that a setting asks for. */
export const threadCount = (threads: number): number => threads || availableParallelism();

const camel = (flag: string): string => flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
const kebab = (name: string): string => flagOf(name).slice(2);

/** The environment variable of a setting: RETORT_HEALTH_PORT for `healthPort`, unless its schema names another. */
const variableOf = (schema: z.ZodObject, name: string): string =>
  (schema.shape[name]!.meta()?.variable as string | undefined) ?? `RETORT_${kebab(name).replaceAll("-", "_").toUpperCase()}`;

type Given = Readonly<Record<string, unknown>>;

/** Settings as the flags that {@link readSettings} reads; those that are undefined are left out. */
export const toFlags = (settings: Given): string[] =>
  Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [`${flagOf(name)}=${value}`]));

/** Settings as the environment variables that {@link readSettings} reads: for what must not be seen on a command line. */
export const toEnvironment = (schema: z.ZodObject, settings: Given): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[variableOf(schema, name), String(value)]])),
  );

/**
 * Reads settings: flags (`--health-port 1`) win over the environment (RETORT_HEALTH_PORT), that over a YAML file
 * (`--config FILE`, keys as in the schema), that over the defaults. An empty variable counts as unset.
 *
 * @throws InvalidArgument that names every unknown or malformed setting, its value and where it came from; and every flag and every line
 *   of the file that nothing would read beside the others ({@link unreadSettings}). A variable may be meant for another process.
 */
export function readSettings<S extends z.ZodObject>(schema: S, argv: readonly string[], env: NodeJS.ProcessEnv): z.infer<S> {
  const { config, ...flags } = readFlags(schema, argv);
  const sources: readonly [string, Given][] = [
    [`${config}`, config === undefined ? {} : readFile(config)],
    ["the environment", readEnvironment(schema, env)],
    ["the command line", flags],
  ];
  const given: Given = Object.assign({}, ...sources.map(([, values]) => values));
  const parsed = schema.safeParse(given);
  const sourceOf = (name: string) => sources.findLast(([, values]) => name in values)?.[0];
  if (parsed.success) {
    const isGiven = (name: string) => ["the command line", `${config}`].includes(sourceOf(name) ?? "");
    const said = (name: string) => (sourceOf(name) === "the environment" ? variableOf(schema, name) : flagOf(name));
    const unread = unreadSettings(schema, parsed.data, isGiven, said);
    if (unread.length > 0) throw RetortError.ofProblems("settings", unread);
    return parsed.data;
  }
  const problems = parsed.error.issues.flatMap((issue) => {
    const names = issue.code === "unrecognized_keys" ? issue.keys : [String(issue.path[0])];
    return names.map((name) => {
      return {
        fieldPath: flagOf(name),
        description: `${issue.message} (given: ${shown(schema, name, given[name])}, by ${sourceOf(name)})`,
      };
    });
  });
  throw RetortError.ofProblems("settings", problems);
}

/** The environment's variables that nothing reads beside the other settings: they may be meant for another process. */
export const unreadVariables = <S extends z.ZodObject>(schema: S, settings: z.infer<S>, env: NodeJS.ProcessEnv) => {
  const given = readEnvironment(schema, env);
  const said = (name: string) => (name in given ? variableOf(schema, name) : flagOf(name));
  return unreadSettings(schema, settings, (name) => name in given, said);
};

function readFlags(schema: z.ZodObject, argv: readonly string[]): Readonly<Record<string, string>> {
  const flags = [...Object.keys(schema.shape), "config"].map(kebab);
  try {
    const options = Object.fromEntries(flags.map((flag) => [flag, { type: "string" as const }]));
    const { values } = parseArgs({ args: [...argv], options, strict: true });
    return Object.fromEntries(Object.entries(values).map(([flag, value]) => [camel(flag), String(value)]));
  } catch (error) {
    const known = flags.map((flag) => `--${flag}`).join(" ");
    throw new RetortError("InvalidArgument", `${(error as Error).message}; known settings: ${known}`);
  }
}

function readEnvironment(schema: z.ZodObject, env: NodeJS.ProcessEnv): Given {
  const set = Object.keys(schema.shape).map((name) => [name, env[variableOf(schema, name)]] as const);
  return Object.fromEntries(set.filter(([, value]) => value !== undefined && value !== ""));
}

function readFile(path: string): Given {
  let text: string;
  try {
    text = readRegularSync(path, mostYamlBytes).toString();
  } catch (error) {
    throw new RetortError("InvalidArgument", `the settings file ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const value = parseYaml(text, `the settings file ${path}`) ?? {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Given;
  throw new RetortError("InvalidArgument", `the settings file ${path} must hold \`name: value\` lines`);
}

/** A setting's value as it may be written to a log or an error. */
function shown(schema: z.ZodObject, name: string, value: unknown): string {
  const field: z.core.$ZodType | undefined = (schema.shape as Readonly<Record<string, z.core.$ZodType>>)[name];
  const { secret, url } = (field && z.globalRegistry.get(field)) ?? {};
  return secret ? "***" : url ? redactUrl(String(value)) : String(value);
}

/** The settings that are unlike their defaults, for the first line of a log; secrets are not shown. */
export function unlikeDefaults<S extends z.ZodObject>(schema: S, settings: z.infer<S>): Given {
  const shape: Readonly<Record<string, z.core.$ZodType>> = schema.shape;
  const changed = Object.entries(settings).filter(([name, value]) => value !== z.safeParse(shape[name]!, undefined).data);
  return Object.fromEntries(changed.map(([name, value]) => [name, typeof value === "string" ? shown(schema, name, value) : value]));
}

/** The settings of a schema as text: flag, default and meaning, one to a line. */
export function describeSettings(schema: z.ZodObject): string {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input" }) as {
    properties?: Record<string, { description?: string; default?: unknown }>;
  };
  const lines = Object.entries(properties).map(([name, { description = "", default: fallback }]) => {
    const value = fallback === undefined ? "" : ` (default ${JSON.stringify(fallback)})`;
    return `  --${kebab(name).padEnd(20)} ${description}${value}; ${variableOf(schema, name)}`;
  });
  return lines.join("\n");
}
