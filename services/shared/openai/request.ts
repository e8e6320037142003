import { z } from "zod";

/** Most classes whose log-probabilities may be asked for at a token. */
export const mostClasses = 1024;

const none = z.null().optional();
/** A setting that would change the answer and isn't honoured: only the value that changes nothing is accepted. */
const only = <T extends number>(value: T) =>
  z.literal(value, { error: `must be ${value} or left out: another value is not honoured here` }).nullish();
const unhonoured = (why: string) => z.null({ error: `is not honoured here: ${why}` }).optional();

/** What completions and chat completions have in common. Fields that change nothing are accepted, whatever they say. */
const common = {
  model: z.string(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  // Not OpenAI's, but that of other servers: 0 and -1 keep all.
  top_k: z.int().min(-1).max(65_536).nullish(),
  n: z.int().min(1).max(128).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(16)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().optional() }).nullish(),
  presence_penalty: only(0),
  frequency_penalty: only(0),
  logit_bias: z.strictObject({}, { error: "is not honoured here; leave it out" }).nullish(),
  user: z.string().nullish(),
  metadata: z.unknown().optional(),
  store: z.literal(false, { error: "nothing is stored here; leave it out" }).nullish(),
  service_tier: z.string().nullish(),
};

const ids = z.array(
  z
    .int()
    .min(0)
    .max(2 ** 31 - 1),
);
const classes = z.int().min(0).max(mostClasses).nullish();

/** The body of POST /v1/completions. */
export const completionRequest = z.strictObject({
  ...common,
  prompt: z.union([z.string(), ids.min(1), z.array(z.string()).min(1).max(4096), z.array(ids.min(1)).min(1).max(4096)]),
  max_tokens: z
    .int()
    .min(0)
    .max(2 ** 24)
    .nullish(),
  echo: z.boolean().nullish(),
  logprobs: classes,
  // vLLM's.
  prompt_logprobs: classes,
  return_tokens_as_token_ids: z.boolean().nullish(),
  best_of: only(1),
  suffix: none,
});

/** Parsed {@link completionRequest}. */
export type CompletionRequest = z.infer<typeof completionRequest>;

const textPart = z.strictObject({ type: z.literal("text", { error: "only text is read here" }), text: z.string() });
/** One turn: its content, and whatever else the model's template reads of it. */
const message = z.looseObject({ role: z.string(), content: z.union([z.string(), z.array(textPart)]).nullish() });

/** The body of POST /v1/chat/completions. */
export const chatRequest = z.strictObject({
  ...common,
  messages: z.array(message).min(1).max(65_536),
  max_tokens: z
    .int()
    .min(1)
    .max(2 ** 24)
    .nullish(),
  max_completion_tokens: z
    .int()
    .min(1)
    .max(2 ** 24)
    .nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: classes,
  // What the model's template reads: vLLM's.
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  response_format: z.strictObject({ type: z.literal("text", { error: "only text is written here" }) }).nullish(),
  tools: unhonoured("answers are text, and calls in them are not parsed"),
  tool_choice: unhonoured("answers are text, and calls in them are not parsed"),
  functions: unhonoured("answers are text, and calls in them are not parsed"),
});

/** Parsed {@link chatRequest}. */
export type ChatRequest = z.infer<typeof chatRequest>;
