import type { Metrics } from "../../../shared/base/metrics.js";

/** What is counted of a teacher's server: requests, and what they cost. */
export class ServerMeters {
  readonly #requests;
  readonly #retries;
  readonly #tokens;
  readonly #cost;

  constructor(metrics: Metrics) {
    this.#requests = metrics.seconds("server_request", "time of a request to the model's server, failed ones among them");
    this.#retries = metrics.counter("server_retries_total", "requests to the model's server that were made again");
    this.#tokens = metrics.counter("server_tokens_total", "tokens of prompts that the model's server has read");
    this.#cost = metrics.counter("server_cost_total", "what the server's tokens cost, by server.pricePerMillionTokens");
  }

  /** A request has ended, however. */
  requested(seconds: number): void {
    this.#requests.observe(seconds);
  }

  /** A request is made again. */
  retried(): void {
    this.#retries.inc();
  }

  /** The server has read tokens. @param price of a million */
  read(tokens: number, price: number): void {
    this.#tokens.inc(tokens);
    this.#cost.inc((tokens * price) / 1e6);
  }
}
