import { RetortError } from "../base/errors.js";
import { chatOfCall } from "../flow/runs/chat.js";
import { type Answer, checkModel, headOf, usageOf } from "./answer.js";
import { type AskedText, type TokenLogprob, tokenLogprobs } from "./logprobs.js";
import type { CompletionRequest } from "./request.js";
import type { ServedModel } from "./served-model.js";
import { type Written, write, writingOf } from "./write.js";

/** Tokens where a request names none, as OpenAI has it. */
const defaultMaxTokens = 16;

/**
 * POST /v1/completions, as OpenAI has it, with vLLM's `prompt_logprobs`, `top_k` and `return_tokens_as_token_ids`. Log-probabilities
 * are at temperature 1 and untruncated; a stream brings a choice as a whole where they, or `echo`, are asked for.
 *
 * @throws InvalidArgument naming the field, NotFound for another model
 */
export async function completions(served: ServedModel, request: CompletionRequest, signal: AbortSignal): Promise<Answer> {
  checkModel(served, request.model);
  const maxTokens = request.max_tokens ?? defaultMaxTokens;
  const refuse = (field: string, description: string) => {
    throw new RetortError("InvalidArgument", `${field} ${description}`, { fieldPath: field });
  };
  if (maxTokens === 0 && !request.echo && typeof request.prompt_logprobs !== "number")
    refuse("max_tokens", "is 0: nothing would be answered; ask for echo, prompt_logprobs or at least one token");
  if (request.stream && typeof request.prompt_logprobs === "number")
    refuse("prompt_logprobs", "does not go with stream; leave one of them out");
  const prompts = await promptsOf(served, request);
  const head = headOf(served, "text_completion", "cmpl");
  const writing = writingOf(request, maxTokens);
  const writes = () => (maxTokens > 0 ? write(served, prompts, writing, signal) : writtenNothing(prompts, writing.samples));
  if (request.stream) return { stream: streamed(served, request, head, prompts, writes()) };
  const done: Written[] = [];
  for await (const { written } of writes()) if (written.finish) done.push(written);
  done.sort((a, b) => a.index - b.index);
  return { whole: { ...head, choices: await choicesOf(served, request, done), usage: usageOf(prompts, done) } };
}

function promptsOf({ model }: ServedModel, { prompt }: CompletionRequest): Promise<Int32Array[]> {
  const given = typeof prompt === "string" ? [prompt] : isIds(prompt) ? [prompt] : prompt;
  return model.encode(
    given.map((one) => (typeof one === "string" ? one : Int32Array.from(one))),
    chatOfCall(undefined, Date.now()),
  );
}

const isIds = (prompt: readonly unknown[]): prompt is number[] => typeof prompt[0] === "number";

async function* writtenNothing(prompts: readonly Int32Array[], samples: number) {
  const all = prompts.flatMap((promptIds) => Array.from({ length: samples }, () => promptIds));
  for (const [index, promptIds] of all.entries())
    yield { written: { index, promptIds, ids: [], text: "", finish: "length" } satisfies Written as Written, fresh: "" };
}

type Head = ReturnType<typeof headOf>;

async function* streamed(
  served: ServedModel,
  request: CompletionRequest,
  head: Head,
  prompts: readonly Int32Array[],
  writes: AsyncIterable<{ readonly written: Written; readonly fresh: string }>,
): AsyncGenerator<object> {
  const isWhole = request.echo || typeof request.logprobs === "number";
  const done: Written[] = [];
  for await (const { written, fresh } of writes) {
    if (written.finish) done.push(written);
    if (!isWhole)
      yield { ...head, choices: [{ index: written.index, text: fresh, logprobs: null, finish_reason: written.finish ?? null }] };
    else if (written.finish) yield { ...head, choices: await choicesOf(served, request, [written]) };
  }
  if (request.stream_options?.include_usage) yield { ...head, choices: [], usage: usageOf(prompts, done) };
}

async function choicesOf(served: ServedModel, request: CompletionRequest, written: readonly Written[]): Promise<object[]> {
  const { echo, logprobs, prompt_logprobs: promptK, return_tokens_as_token_ids: named } = request;
  const { model } = served;
  const nothing = new Int32Array();
  const texts = written.map(
    ({ promptIds, ids }): AskedText => (echo ? { before: nothing, ids: [...promptIds, ...ids] } : { before: promptIds, ids }),
  );
  const told = typeof logprobs === "number" ? await tokenLogprobs(model, texts, logprobs) : undefined;
  const prompts = written.map(({ promptIds }): AskedText => ({ before: nothing, ids: [...promptIds] }));
  const ofPrompts = typeof promptK === "number" ? await tokenLogprobs(model, prompts, promptK) : undefined;
  const echoed = echo ? await model.completionTexts(prompts.map(({ ids }) => ({ promptIds: nothing, ids: Int32Array.from(ids) }))) : [];
  return written.map(({ index, text, finish }, i) => {
    const whole = (echoed[i] ?? "") + text;
    return {
      index,
      text: whole,
      logprobs: told ? listed(within(told[i] ?? [], whole.length), named ?? false) : null,
      finish_reason: finish ?? null,
      ...(ofPrompts && { prompt_logprobs: ofPrompts[i]?.map(byId) }),
    };
  });
}

/** The tokens that begin within a text: a stop may have cut it. Those that write nothing stay where they are. */
export function within(tokens: readonly TokenLogprob[], length: number): TokenLogprob[] {
  let at = 0;
  return tokens.filter(({ text }) => {
    const begins = at;
    at += text.length;
    return begins < length || text === "";
  });
}

/** OpenAI's form: parallel lists, classes by their texts or, where asked, by their ids. */
function listed(tokens: readonly TokenLogprob[], named: boolean) {
  const nameOf = ({ id, text }: { readonly id: number; readonly text: string }) => (named ? `token_id:${id}` : text);
  let at = 0;
  return {
    tokens: tokens.map(nameOf),
    token_logprobs: tokens.map(({ logprob }) => logprob ?? null),
    top_logprobs: tokens.map((token) =>
      token.logprob === undefined
        ? null
        : // The most probable of classes that are spelled alike counts, and the given token is among them.
          Object.fromEntries([
            [nameOf(token), token.logprob],
            ...[...token.top].reverse().map((one) => [nameOf(one), one.logprob] as const),
          ]),
    ),
    text_offset: tokens.map(({ text }) => {
      const begins = at;
      at += text.length;
      return begins;
    }),
  };
}

/** vLLM's form: classes by their ids, the given token among them. */
function byId({ id, text, logprob, top }: TokenLogprob): object | null {
  if (logprob === undefined) return null;
  const ranked = top.map((one, i) => [one.id, { logprob: one.logprob, rank: i + 1, decoded_token: one.text }] as const);
  return Object.fromEntries([[id, { logprob, rank: null, decoded_token: text }], ...ranked]);
}
