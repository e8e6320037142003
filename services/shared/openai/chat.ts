import { create, type JsonObject } from "@bufbuild/protobuf";
import { RetortError } from "../base/errors.js";
import { chatOfCall } from "../flow/runs/chat.js";
import { type Conversation, ConversationSchema } from "../gen/retort/v1/conversation_pb.js";
import { type Answer, checkModel, headOf, usageOf } from "./answer.js";
import { within } from "./completions.js";
import { type ClassLogprob, tokenLogprobs } from "./logprobs.js";
import type { ChatRequest } from "./request.js";
import type { ServedModel } from "./served-model.js";
import { type Written, write, writingOf } from "./write.js";

/**
 * POST /v1/chat/completions, as OpenAI has it, with vLLM's `chat_template_kwargs` and `top_k`: the messages go through the model's
 * own chat template. Without a bound, as many tokens are written as the model has room for. A stream brings a choice as a whole where
 * log-probabilities are asked for, which are at temperature 1 and untruncated.
 *
 * @throws InvalidArgument naming the field, NotFound for another model
 */
export async function chatCompletions(served: ServedModel, request: ChatRequest, signal: AbortSignal): Promise<Answer> {
  checkModel(served, request.model);
  if (typeof request.top_logprobs === "number" && !request.logprobs)
    throw new RetortError("InvalidArgument", "top_logprobs needs logprobs: true", { fieldPath: "top_logprobs" });
  const prompts = await served.model.encode([conversationOf(request)], chatOfCall(undefined, Date.now()));
  const room = served.maxPositions - (prompts[0]?.length ?? 0);
  const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? Math.max(1, room);
  const writes = write(served, prompts, writingOf(request, maxTokens), signal);
  if (request.stream) return { stream: streamed(served, request, prompts, writes) };
  const done: Written[] = [];
  for await (const { written } of writes) if (written.finish) done.push(written);
  done.sort((a, b) => a.index - b.index);
  const told = await logprobsOf(served, request, done);
  const choices = done.map(({ index, text, finish }, i) => ({
    index,
    message: { role: "assistant", content: text, refusal: null },
    logprobs: told?.[i] ?? null,
    finish_reason: finish,
  }));
  return { whole: { ...headOf(served, "chat.completion", "chatcmpl"), choices, usage: usageOf(prompts, done) } };
}

async function* streamed(
  served: ServedModel,
  request: ChatRequest,
  prompts: readonly Int32Array[],
  writes: AsyncIterable<{ readonly written: Written; readonly fresh: string }>,
): AsyncGenerator<object> {
  const head = headOf(served, "chat.completion.chunk", "chatcmpl");
  const begun = new Set<number>();
  const done: Written[] = [];
  for await (const { written, fresh } of writes) {
    const { index, finish } = written;
    if (finish) done.push(written);
    if (request.logprobs && !finish) continue;
    const role = begun.has(index) ? {} : { role: "assistant" };
    begun.add(index);
    const [logprobs = null] = finish ? ((await logprobsOf(served, request, [written])) ?? []) : [];
    const content = request.logprobs ? written.text : fresh;
    yield { ...head, choices: [{ index, delta: { ...role, content }, logprobs, finish_reason: finish ?? null }] };
  }
  if (request.stream_options?.include_usage) yield { ...head, choices: [], usage: usageOf(prompts, done) };
}

async function logprobsOf({ model }: ServedModel, { logprobs, top_logprobs: k }: ChatRequest, written: readonly Written[]) {
  if (!logprobs) return undefined;
  const told = await tokenLogprobs(
    model,
    written.map(({ promptIds, ids }) => ({ before: promptIds, ids })),
    k ?? 0,
  );
  return told.map((tokens, i) => ({
    content: within(tokens, written[i]?.text.length ?? 0).map(({ id, text, logprob = 0, top }) => ({
      ...spelled({ id, text, logprob }),
      top_logprobs: top.map(spelled),
    })),
    refusal: null,
  }));
}

const spelled = ({ text, logprob }: ClassLogprob) => ({ token: text, logprob, bytes: [...Buffer.from(text)] });

function conversationOf({ messages, chat_template_kwargs: kwargs }: ChatRequest): Conversation {
  return create(ConversationSchema, {
    messages: messages.map(({ role, content, ...more }) => ({
      role,
      ...(content === null || content === undefined ? {} : { content: textOf(content) }),
      ...(Object.keys(more).length > 0 && { extra: JSON.stringify(more) }),
    })),
    ...(kwargs && { chatTemplateKwargs: kwargs as JsonObject }),
  });
}

/** Parts of text stand on lines of their own, as vLLM has it. */
const textOf = (content: string | readonly { readonly text: string }[]): string =>
  typeof content === "string" ? content : content.map(({ text }) => text).join("\n");
