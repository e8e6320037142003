import { z } from "zod";
import { type ErrorCode, RetortError } from "../../../shared/base/errors.js";
import type { ServerSpec } from "../../../shared/gen/retort/v1/server_pb.js";
import type { Tokenizer } from "../../../shared/ml/text/tokenizer.js";
import { type Asked, type Dialect, inForm } from "./dialect.js";
import type { Endpoint } from "./endpoint.js";
import { scoreOf } from "./scores.js";
import { type DialectName, dialects, tried } from "./table.js";

/** What was found out about a server. */
export interface ProbedServer {
  /** What it calls its model. */
  readonly model: string;
  readonly dialectName: DialectName;
  readonly dialect: Dialect;
  /** Most classes that it gives at a token; 0 if it gives none by id. */
  readonly largestK: number;
  /** Longest text that it reads, if it says so. */
  readonly maxTokens: number | undefined;
  /** What is unusual, and allowed. */
  readonly warnings: readonly string[];
}

/** Whose ids are compared, and how many classes there are. */
export interface OwnWords {
  readonly tokenizer: Tokenizer;
  /** Rows of the vocabulary. */
  readonly rows: number;
}

/** Text that shows how a tokenizer splits: prose, numbers, a program. */
const knownText = "The river rises in the mountains. 12 - 5 = 7, and 3 more: 10.\n    return width * height\n";

/** Most classes that are looked for. */
const mostClasses = 1024;

/** Failures that mean "not in this way". */
const refusals: readonly string[] = ["DataLoss", "InvalidArgument", "NotFound", "OutOfRange", "Unimplemented"];

/**
 * Finds out how a server is asked, and whether it is to be believed: it is given known ids and must give distributions of these;
 * it must split a known text as the tokenizer does, where it tells; and have a row for the tokenizer's last id.
 *
 * @throws FailedPrecondition naming what the server lacks, with its words; what {@link Endpoint.get} throws
 */
export async function probeServer(endpoint: Endpoint, spec: ServerSpec, { tokenizer, rows }: OwnWords): Promise<ProbedServer> {
  const { model, maxTokens } = await modelOf(endpoint, spec);
  const ids = knownIds(tokenizer, Math.min(32, (maxTokens ?? 32) - 1));
  const asked: Asked = { ids, from: 1 };
  const { dialectName, dialect } = await dialectOf(endpoint, spec, model, asked, rows);
  const ask: Ask = (k, kind = "top_k", of = asked) => askFor(endpoint, dialect, model, of, k, rows, kind);
  await hasLastRow(ask, tokenizer, endpoint.url);
  const warnings = await compareSplitting(endpoint, model, tokenizer);
  const most = Math.min(rows, spec.maxLogprobs || mostClasses);
  const largestK = await largestAnswered(ask, most);
  if (spec.maxLogprobs && largestK < most)
    throw failure("server.maxLogprobs", `is ${spec.maxLogprobs}, and ${endpoint.url} gives ${largestK} classes at a token; leave it out`);
  return { model, dialectName, dialect, largestK, maxTokens, warnings };
}

/** Which model is meant. A server without a list of models must be told. */
async function modelOf(endpoint: Endpoint, { model }: ServerSpec): Promise<{ model: string; maxTokens: number | undefined }> {
  const form = z.object({ data: z.array(z.object({ id: z.string(), max_model_len: z.number().nullish() })) });
  const listed = await unlessRefused(async () => inForm(form, await endpoint.get("models")).data);
  if ("refusal" in listed) {
    if (model) return { model, maxTokens: undefined };
    throw failure("server.model", `is missing, and ${endpoint.url} lists no models (${listed.refusal}); name the one to ask`);
  }
  const names = listed.value.map(({ id }) => id);
  const found = model ? listed.value.find(({ id }) => id === model) : listed.value.length === 1 ? listed.value[0] : undefined;
  if (found) return { model: found.id, maxTokens: found.max_model_len ?? undefined };
  const has = `${endpoint.url} has ${names.join(", ") || "none"}`;
  throw failure("server.model", model ? `is "${model}"; ${has}` : `is missing; ${has}: name one`);
}

async function dialectOf(endpoint: Endpoint, spec: ServerSpec, model: string, asked: Asked, rows: number) {
  const refused: string[] = [];
  for (const dialectName of spec.dialect ? [spec.dialect as DialectName] : tried) {
    const dialect = dialects[dialectName];
    const answer = await unlessRefused(() => askFor(endpoint, dialect, model, asked, 1, rows, "sampled"));
    if (!("refusal" in answer)) return { dialectName, dialect };
    refused.push(`${dialectName}: ${answer.refusal}`);
  }
  throw failure(
    "server.url",
    `${endpoint.url} gives no log-probabilities of a prompt's tokens (${refused.join("; ")}); a teacher needs them for token ids that are sent: vLLM and SGLang give them, and servers of completions with echo and logprobs`,
  );
}

/** Asks for one text. @throws DataLoss for an answer that is not to be believed */
async function askFor(
  endpoint: Endpoint,
  dialect: Dialect,
  model: string,
  asked: Asked,
  k: number,
  rows: number,
  kind: "sampled" | "top_k",
): Promise<void> {
  const [told = []] = dialect.read(await endpoint.post(dialect.path, dialect.body(model, [asked], k)), [asked]);
  scoreOf(told, asked, { kind, k, temperature: 1 }, rows);
}

type Ask = (k: number, kind?: "sampled" | "top_k", asked?: Asked) => Promise<void>;

/** The most classes that are answered, at most so many; found by halving, since servers have a bound of their own. */
async function largestAnswered(ask: Ask, most: number): Promise<number> {
  const answers = async (k: number): Promise<boolean> => {
    const answer = await unlessRefused(() => ask(k));
    // A bound is one thing, numbers that are no distribution another.
    if ("refusal" in answer && answer.code === "DataLoss") throw failure("server.url", `is not to be believed: ${answer.refusal}`);
    return !("refusal" in answer);
  };
  if (await answers(most)) return most;
  let [least, over] = [0, most];
  while (over - least > 1) {
    const middle = Math.floor((least + over) / 2);
    if (await answers(middle)) least = middle;
    else over = middle;
  }
  return least;
}

/** A server whose model has fewer rows than the tokenizer ids is of another model. */
async function hasLastRow(ask: Ask, tokenizer: Tokenizer, url: string): Promise<void> {
  const last = tokenizer.size - 1;
  const answer = await unlessRefused(() => ask(1, "sampled", { ids: [...knownIds(tokenizer, 2), last], from: 1 }));
  if ("refusal" in answer)
    throw failure("server.url", `${url} does not take id ${last}, the last of the tokenizer in \`model\`: ${answer.refusal}`);
}

/** Compares how a text is split, where the server tells it. @returns warnings */
async function compareSplitting(endpoint: Endpoint, model: string, tokenizer: Tokenizer): Promise<string[]> {
  const own = idsOf(tokenizer, knownText);
  const body = { model, prompt: knownText, add_special_tokens: false };
  const told = await unlessRefused(
    async () => inForm(z.object({ tokens: z.array(z.number()) }), await endpoint.post("/tokenize", body)).tokens,
  );
  if (own === undefined || "refusal" in told)
    return [`${endpoint.url} does not tell how it splits text: that its ids mean what those of the tokenizer in \`model\` do is not known`];
  const at = own.findIndex((id, i) => id !== told.value[i]);
  if (at < 0 && told.value.length === own.length) return [];
  const where = at < 0 ? own.length : at;
  throw failure(
    "server.url",
    `${endpoint.url} splits text otherwise than the tokenizer in \`model\`: token ${where} of ${JSON.stringify(knownText)} is ${told.value[where] ?? "none"} there and ${own[where] ?? "none"} here; name the directory with the tokenizer of the model that is served`,
  );
}

/** A text's ids; undefined if the tokenizer can't write a part of it. */
function idsOf(tokenizer: Tokenizer, text: string): number[] | undefined {
  try {
    return [...tokenizer.encode(text)];
  } catch {
    return undefined;
  }
}

/** Ids of known text; of a tokenizer that can't write it, ids spread over all that it has. */
function knownIds(tokenizer: Tokenizer, most: number): number[] {
  const ids = idsOf(tokenizer, knownText) ?? [];
  if (ids.length >= most) return ids.slice(0, most);
  return Array.from({ length: most }, (_, i) => Math.floor((((i + 1) * 0.6180339887) % 1) * tokenizer.size));
}

/** What came of asking, or the server's refusal. @throws what says nothing of the way of asking */
async function unlessRefused<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly refusal: string; readonly code: ErrorCode }> {
  try {
    return { value: await work() };
  } catch (error) {
    const { code, message } = RetortError.from(error);
    const internal = (error as { status?: number }).status === 500;
    if (!refusals.includes(code) && !internal) throw error;
    return { refusal: message, code };
  }
}

const failure = (fieldPath: string, description: string) =>
  new RetortError("FailedPrecondition", `${fieldPath} ${description}`, { fieldPath });
