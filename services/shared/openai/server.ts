import { createServer as createPlainServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { RetortError } from "../base/errors.js";
import type { Service } from "../base/lifecycle.js";
import { listen } from "../base/listen.js";
import type { Log } from "../base/log.js";
import { type AccessOptions, CallGate } from "../base/rpc/access.js";
import { Scope } from "../gen/retort/v1/access_pb.js";
import type { Answer } from "./answer.js";
import { chatCompletions } from "./chat.js";
import { completions } from "./completions.js";
import { bodyIn, errorAnswer } from "./errors.js";
import { chatRequest, completionRequest } from "./request.js";
import type { ServedModel } from "./served-model.js";

/** Where and how OpenAI's API is served. */
export interface OpenaiServerOptions extends AccessOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** PEM contents; without them the server speaks plaintext. With `ca`, clients must show a certificate. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca?: Buffer | undefined } | undefined;
  readonly maxMessageBytes: number;
}

interface Route {
  readonly method: string;
  readonly scope: Scope;
  answer(served: ServedModel, body: unknown, signal: AbortSignal): Promise<Answer>;
}

/** What is served, by path. */
const routes: Readonly<Record<string, Route>> = {
  "/v1/chat/completions": {
    method: "POST",
    scope: Scope.RUN,
    answer: (served, body, signal) => chatCompletions(served, bodyIn(chatRequest, body), signal),
  },
  "/v1/completions": {
    method: "POST",
    scope: Scope.RUN,
    answer: (served, body, signal) => completions(served, bodyIn(completionRequest, body), signal),
  },
  "/v1/models": { method: "GET", scope: Scope.READ, answer: async (served) => ({ whole: modelsOf(served) }) },
};

const routeOf = (path: string): Route | undefined => (Object.hasOwn(routes, path) ? routes[path] : undefined);

const modelsOf = ({ name, maxPositions }: ServedModel) => ({
  object: "list",
  data: [{ id: name, object: "model", created: 0, owned_by: "retort", max_model_len: maxPositions }],
});

/** How long requests in progress are waited for when the server stops, in milliseconds. */
const patienceMs = 2000;

/**
 * OpenAI's API over a model's handlers: /v1/completions, /v1/chat/completions and /v1/models, in its forms, errors and streams. A
 * field that would change the answer and isn't honoured is refused by name.
 */
export class OpenaiServer implements Service {
  readonly name = "openai";
  readonly #options: OpenaiServerOptions;
  readonly #served: () => ServedModel;
  readonly #log: Log;
  readonly #server: Server;
  readonly #gate: CallGate;

  /** @param served asked at each request; throws while there is no model */
  constructor(options: OpenaiServerOptions, served: () => ServedModel, log: Log) {
    this.#options = options;
    this.#served = served;
    this.#log = log;
    this.#gate = new CallGate((path) => routeOf(path)?.scope ?? Scope.READ, options);
    const listener: RequestListener = (request, response) => void this.#handle(request, response);
    const { tls } = options;
    this.#server = tls
      ? createTlsServer({ ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: tls.ca !== undefined }, listener)
      : createPlainServer(listener);
  }

  /** The port that it listens on. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  async start(): Promise<void> {
    const { host, port, tls } = this.#options;
    await listen(this.#server, host, port, "OpenAI's API", "--openai-port");
    this.#log.info({ url: `${tls ? "https" : "http"}://${host}:${this.port}/v1` }, "OpenAI's API is served");
  }

  /** Lets requests in progress end; those that outlast two seconds are cut off. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#server.closeAllConnections(), patienceMs);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
    clearTimeout(timer);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    let entered = false;
    try {
      const { pathname } = new URL(request.url ?? "/", "http://localhost");
      const refused = this.#gate.enter(pathname, request.headers.authorization ?? "");
      if (refused) throw refused;
      entered = true;
      const answer = await this.#answer(pathname, request, gone.signal);
      if ("whole" in answer) send(response, 200, answer.whole);
      else await stream(response, answer.stream, (error) => this.#told(error));
    } catch (error) {
      const { status, body } = this.#told(error);
      if (!response.headersSent) send(response, status, body);
      else response.destroy();
    } finally {
      if (entered) this.#gate.leave();
    }
  }

  async #answer(path: string, request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const route = routeOf(path);
    if (!route || route.method !== request.method)
      throw new RetortError("NotFound", `there is no ${request.method} ${path}; see ${Object.keys(routes).join(", ")}`);
    const body = request.method === "POST" ? await bodyOf(request, this.#options.maxMessageBytes) : undefined;
    return route.answer(this.#served(), body, signal);
  }

  #told(thrown: unknown): ReturnType<typeof errorAnswer> {
    const error = RetortError.from(thrown);
    if (error.disposition === "fail" && error.code !== "PermissionDenied" && error.code !== "Unauthenticated")
      this.#log.error({ err: error }, "a request of OpenAI's API failed");
    return errorAnswer(error);
  }
}

async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new RetortError("OutOfRange", `the request has more than ${maxBytes} bytes (maxMessageBytes); send less at a time`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (error) {
    throw new RetortError("InvalidArgument", `the request is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** Sends objects as events, no faster than the caller takes them. What fails on the way is the last one. */
async function stream(response: ServerResponse, objects: AsyncIterable<object>, told: (error: unknown) => { body: object }): Promise<void> {
  const event = async (data: string) => {
    if (response.write(`data: ${data}\n\n`) || response.destroyed) return;
    await new Promise<void>((resolve) => {
      response.once("drain", resolve);
      response.once("close", resolve);
    });
  };
  const all = objects[Symbol.asyncIterator]();
  // What fails before anything is written has a status of its own.
  let next = await all.next();
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  try {
    for (; !next.done && !response.destroyed; next = await all.next()) await event(JSON.stringify(next.value));
    await event("[DONE]");
  } catch (error) {
    await event(JSON.stringify(told(error).body));
  } finally {
    await all.return?.();
  }
  response.end();
}
