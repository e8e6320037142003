/**
 * The thread that holds the native tokenizers (Hugging Face's Rust core), by handle. Its encode and decode are asynchronous;
 * the thread that asks waits for one answer at a time (bridge.ts), so that tokenizing is synchronous for everybody else.
 */
import { type MessagePort, workerData } from "node:worker_threads";
import { answered, type Reply } from "./bridge.js";
import type { Answer, NativeError, PostProcessor, PostToken, Request, TokenizerPlan } from "./plan.js";

type Module = typeof import("tokenizers");
type Core = InstanceType<Module["Tokenizer"]>;

let core: Module;

const held = new Map<number, Core>();
let nextHandle = 1;

/** The parts of a tokenizer.json that may be absent, in the order in which they are suspected. */
const parts = ["normalizer", "pre_tokenizer", "post_processor", "decoder"] as const;

async function answer(request: Exclude<Request, { op: "release" }>): Promise<Answer> {
  // Here, so that a platform without the library hears of it as an answer.
  core ??= (await import("tokenizers").catch(withoutLibrary)).default;
  switch (request.op) {
    case "create":
      return create(request.plan);
    case "encode":
      return encode(of(request.handle), request.texts, request.addSpecial);
    case "encodePair": {
      const encoding = await of(request.handle).encode(request.text, request.pair, { addSpecialTokens: true });
      return { ids: Int32Array.from(encoding.getIds()), typeIds: Int32Array.from(encoding.getTypeIds()) };
    }
    case "decode":
      return {
        texts: await of(request.handle).decodeBatch(
          request.sequences.map((ids) => Array.from(ids)),
          request.skipSpecial,
        ),
      };
    case "pieces": {
      const tokenizer = of(request.handle);
      const normalized = tokenizer.getNormalizer()?.normalizeString(request.text) ?? request.text;
      const pieces = tokenizer.getPreTokenizer()?.preTokenizeString(normalized);
      return { texts: pieces ? pieces.map(([piece]) => piece) : [normalized] };
    }
  }
}

function withoutLibrary(error: unknown): never {
  throw { library: true, message: messageOf(error) } satisfies NativeError;
}

function create(plan: TokenizerPlan): Answer {
  let tokenizer: Core;
  try {
    tokenizer = core.Tokenizer.fromString(plan.json);
  } catch (error) {
    throw { part: faultyPart(plan.json), message: messageOf(error) } satisfies NativeError;
  }
  tokenizer.disablePadding();
  tokenizer.disableTruncation();
  for (const batch of plan.batches) {
    const tokens = batch.map(({ content, special, single_word, lstrip, rstrip, normalized }) => {
      const flags = { singleWord: single_word, leftStrip: lstrip, rightStrip: rstrip, normalized };
      return new core.AddedToken(content, special, flags);
    });
    tokenizer.addAddedTokens(tokens);
  }
  if (plan.postProcessor) tokenizer.setPostProcessor(postProcessor(plan.postProcessor, tokenizer));
  const handle = nextHandle++;
  held.set(handle, tokenizer);
  return { handle, addedIds: plan.added.map((token) => tokenizer.tokenToId(token)) };
}

function postProcessor(plan: PostProcessor, tokenizer: Core) {
  const withId = ({ text, idOf = text, otherwise }: PostToken): [string, number] => {
    const id = tokenizer.tokenToId(idOf) ?? otherwise;
    if (id === undefined) throw { part: "post_processor", message: `${JSON.stringify(idOf)} has no id` } satisfies NativeError;
    return [text, id];
  };
  if (plan.type === "template") return core.templateProcessing(plan.single, plan.pair, plan.tokens.map(withId));
  return core.robertaProcessing(withId(plan.sep), withId(plan.cls), plan.trimOffsets, plan.addPrefixSpace);
}

/** The first part without which the rest is read; the model if there is none. */
function faultyPart(json: string): string {
  let whole: Record<string, unknown>;
  try {
    whole = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return "the file";
  }
  const reads = (changed: Record<string, unknown>): boolean => {
    try {
      core.Tokenizer.fromString(JSON.stringify({ ...whole, ...changed }));
      return true;
    } catch {
      return false;
    }
  };
  const without = parts.find((part) => whole[part] != null && reads({ [part]: null }));
  if (without) return without;
  return reads({ added_tokens: [] }) ? "added_tokens" : "model";
}

async function encode(tokenizer: Core, texts: readonly string[], addSpecial: boolean): Promise<Answer> {
  const options = { addSpecialTokens: addSpecial };
  const encodings =
    texts.length === 1
      ? [await tokenizer.encode(texts[0]!, null, options)]
      : await tokenizer.encodeBatch([...texts], options).catch((error: unknown) => firstFailure(tokenizer, texts, options, error));
  const ids = encodings.map((encoding) => encoding.getIds());
  const ends = new Int32Array(ids.length);
  let total = 0;
  for (const [i, one] of ids.entries()) ends[i] = total += one.length;
  const flat = new Int32Array(total);
  for (const [i, one] of ids.entries()) flat.set(one, ends[i]! - one.length);
  return { ids: flat, ends };
}

/** Says which text of a batch fails, since the core does not. */
async function firstFailure(
  tokenizer: Core,
  texts: readonly string[],
  options: { addSpecialTokens: boolean },
  error: unknown,
): Promise<never> {
  for (const [index, text] of texts.entries()) {
    const fails = await tokenizer.encode(text, null, options).then(
      () => false,
      () => true,
    );
    if (fails) throw { index, message: messageOf(error) } satisfies NativeError;
  }
  throw error;
}

function of(handle: number): Core {
  const tokenizer = held.get(handle);
  if (!tokenizer) throw new Error(`no tokenizer has the handle ${handle}`);
  return tokenizer;
}

const messageOf = (thrown: unknown): string => String((thrown as { message?: unknown } | null)?.message ?? thrown);

const { port, state } = workerData as { port: MessagePort; state: Int32Array };

function reply(message: Reply): void {
  port.postMessage(message);
  Atomics.store(state, 0, answered);
  Atomics.notify(state, 0);
}

// A thread that ends while it is asked says so, because the other cannot see it while it waits.
process.on("exit", (code) => reply({ ended: code }));

port.on("message", (request: Request) => {
  if (request.op === "release") held.delete(request.handle);
  else
    answer(request).then(
      (found) => reply({ answer: found }),
      (thrown: unknown) => {
        const { part, index, library } = (thrown ?? {}) as Partial<NativeError>;
        reply({ error: { message: messageOf(thrown), part, index, library } });
      },
    );
});
