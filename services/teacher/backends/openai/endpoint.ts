import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import pRetry from "p-retry";
import { type ErrorCode, RetortError } from "../../../shared/base/errors.js";
import type { ServerSpec } from "../../../shared/gen/retort/v1/server_pb.js";
import type { TokenRules } from "../backend.js";
import type { ServerMeters } from "./meters.js";
import { serverToken } from "./server-token.js";

/** Pauses between tries of a request, in milliseconds; a server that says how long to wait is waited for as long as this at most. */
const [firstPauseMs, longestPauseMs, longestAskedPauseMs] = [250, 8000, 60_000];

/** How much of a server's own words is passed on, in characters. */
const quoted = 500;

/** What the statuses of HTTP mean; any other of 4xx is InvalidArgument, of 5xx Unavailable. */
const codes: Readonly<Record<number, ErrorCode>> = {
  401: "PermissionDenied",
  403: "PermissionDenied",
  404: "NotFound",
  405: "NotFound",
  408: "DeadlineExceeded",
  429: "ResourceExhausted",
};

/** A failed request, with the status that the server answered. */
interface Refused extends RetortError {
  readonly status?: number;
  readonly pauseMs?: number;
}

/**
 * A server's HTTP side: bearer token, a bound of requests in progress, timeouts, and another try of what passes by itself.
 * Every request is one that may be repeated.
 */
export class Endpoint {
  readonly #server: ServerSpec;
  readonly #meters: ServerMeters | undefined;
  readonly #token: string | undefined;
  readonly #turns;
  readonly #closing = new AbortController();

  /** @throws FailedPrecondition as {@link serverToken} */
  constructor(server: ServerSpec, rules: TokenRules, meters?: ServerMeters) {
    this.#server = server;
    this.#meters = meters;
    this.#turns = pLimit(server.concurrency || 4);
    this.#token = serverToken(server, rules);
  }

  /** Where the server is, as it may be shown. */
  get url(): string {
    return this.#server.url.replace(/\/+$/, "");
  }

  /** Sends a body and returns the answer, both JSON. @throws as {@link get} */
  post(path: string, body: unknown): Promise<unknown> {
    return this.#ask(path, { method: "POST", body: JSON.stringify(body) });
  }

  /**
   * Asks for something.
   *
   * @param path below the base address; one that begins with `/` is beside it, on the same host
   * @throws InvalidArgument for what the server refuses, NotFound, PermissionDenied; Unavailable, ResourceExhausted or DeadlineExceeded
   *   if it was still away, busy or silent at the last try; each with the server's own words
   */
  get(path: string): Promise<unknown> {
    return this.#ask(path, { method: "GET" });
  }

  /** Ends all requests, which reject as Cancelled. */
  close(): void {
    this.#closing.abort();
  }

  #ask(path: string, init: RequestInit): Promise<unknown> {
    return this.#turns(() =>
      pRetry(() => this.#once(path, init), {
        retries: (this.#server.maxAttempts || 5) - 1,
        minTimeout: firstPauseMs,
        maxTimeout: longestPauseMs,
        randomize: true,
        signal: this.#closing.signal,
        shouldRetry: ({ error }) => passes(error),
        onFailedAttempt: async ({ error, retriesLeft }) => {
          if (retriesLeft === 0 || !passes(error)) return;
          this.#meters?.retried();
          await sleep((error as Refused).pauseMs ?? 0, undefined, { signal: this.#closing.signal });
        },
      }),
    );
  }

  async #once(path: string, init: RequestInit): Promise<unknown> {
    const started = performance.now();
    const where = path.startsWith("/") ? new URL(path, this.url).href : `${this.url}/${path}`;
    const timeoutMs = this.#server.timeoutMs || 120_000;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(where, {
        ...init,
        // A token is for this server alone: one that sends elsewhere is an answer of its own.
        redirect: "manual",
        signal: AbortSignal.any([timeout, this.#closing.signal]),
        headers: {
          accept: "application/json",
          ...(init.body ? { "content-type": "application/json" } : {}),
          ...(this.#token ? { authorization: `Bearer ${this.#token}` } : {}),
        },
      });
      const text = await response.text();
      if (!response.ok) throw this.#refused(where, response, text);
      return parsed(where, text);
    } catch (error) {
      if (this.#closing.signal.aborted) throw new RetortError("Cancelled", `the request to ${where} was stopped`);
      if (timeout.aborted)
        throw new RetortError("DeadlineExceeded", `${where} gave no answer within ${timeoutMs} ms (server.timeoutMs)`, { cause: error });
      if (error instanceof RetortError) throw error;
      throw new RetortError("Unavailable", `${where} cannot be reached: ${reasonOf(error)}`, { cause: error });
    } finally {
      this.#meters?.requested((performance.now() - started) / 1000);
    }
  }

  #refused(where: string, { status, headers }: Response, text: string): RetortError {
    const code = codes[status] ?? (status >= 500 ? "Unavailable" : "InvalidArgument");
    const { tokenEnv } = this.#server;
    const way =
      code === "PermissionDenied"
        ? `; ${tokenEnv ? `look at the token in ${tokenEnv}` : "name the variable of its token in server.tokenEnv"}`
        : "";
    const error = new RetortError(code, `${where} answered ${status}: ${wordsOf(text)}${way}`);
    return Object.assign(error, { status, pauseMs: askedPause(headers.get("retry-after")) });
  }
}

/** Whether a request that failed may be granted when it is made again. */
const passes = (error: unknown): boolean => {
  const { code, retry } = RetortError.from(error);
  return retry === "later" && code !== "Cancelled";
};

/** What Retry-After asks for, in milliseconds: seconds or a date. */
function askedPause(header: string | null): number | undefined {
  if (!header) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), longestAskedPauseMs) : undefined;
}

function parsed(where: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RetortError("DataLoss", `${where} answered with something that is not JSON: ${text.slice(0, quoted)}`);
  }
}

/** The sentence of an error's body. */
function wordsOf(text: string): string {
  try {
    const { error, message, detail } = JSON.parse(text) as { error?: unknown; message?: unknown; detail?: unknown };
    const said = (error as { message?: unknown } | undefined)?.message ?? message ?? error ?? detail ?? text;
    return (typeof said === "string" ? said : JSON.stringify(said)).slice(0, quoted);
  } catch {
    return text.slice(0, quoted) || "nothing";
  }
}

/** fetch says only that it failed; why is in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? message ?? String(error);
}
