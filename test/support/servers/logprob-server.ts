import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { loadModel } from "../../../services/shared/ml/models/files/model-files.js";
import type { Model } from "../../../services/shared/ml/models/model.js";
import { Scorer } from "../../../services/shared/ml/scoring/scorer.js";

/** How a server answers; every field may be changed while it serves. */
export interface LogprobServerWays {
  dialect: "vllm" | "sglang" | "echo" | "echo as text" | "none";
  token: string;
  /** Most classes. */
  maxLogprobs: number;
  /** Answers that the next requests get instead of theirs. */
  faults: ("drop" | "hang" | { readonly status: number; readonly retryAfter?: string })[];
  /** Changes a row of log-probabilities. */
  bend: (row: Float32Array) => Float32Array;
  /** Changes the ids that are answered. */
  shift: number;
  /** What /tokenize answers; by default what the tokenizer does. */
  tokens: ((text: string) => number[]) | undefined;
}

type Classes = [id: number, logprob: number][];

/**
 * A server of the log-probabilities of prompts that a teacher may ask: answers in the form that vLLM 0.32, SGLang 0.5 and
 * completions with echo give, with the numbers of Retort's own scorer.
 */
export class LogprobServer {
  readonly ways: LogprobServerWays;
  /** Bodies of the requests for log-probabilities. */
  readonly asked: Record<string, unknown>[] = [];
  /** Most requests at a time. */
  busiest = 0;
  #busy = 0;
  readonly #model: Model;
  readonly #scorer: Scorer;
  readonly #server: Server;

  private constructor(model: Model) {
    this.#model = model;
    this.#scorer = new Scorer(model.config, model.params, { device: "cpu", threads: 1, batchTokens: 4096 });
    this.ways = {
      dialect: "vllm",
      token: "",
      maxLogprobs: 20,
      faults: [],
      bend: (row) => row,
      shift: 0,
      tokens: undefined,
    };
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(directory: string): Promise<LogprobServer> {
    const server = new LogprobServer(await loadModel(directory));
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await this.#scorer.release();
  }

  readonly #encode = (text: string): number[] => [...this.#model.tokenizer.encode(text)];

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const chunk of request) text += chunk;
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) =>
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
    const refuse = (status: number, message: string) => send(status, { error: { message, type: "BadRequestError", code: status } });
    const { token, dialect } = this.ways;
    if (token && request.headers.authorization !== `Bearer ${token}`) return void refuse(401, "Unauthorized");
    if (request.url === "/v1/models") return void send(200, { object: "list", data: [{ id: "served", max_model_len: 64 }] });
    const body = JSON.parse(text) as Record<string, unknown>;
    if (request.url === "/tokenize") return void send(200, { tokens: (this.ways.tokens ?? this.#encode)(String(body.prompt)) });
    if (request.url !== (dialect === "sglang" ? "/generate" : "/v1/completions")) return void refuse(404, "Not Found");
    const fault = this.ways.faults.shift();
    if (fault === "drop") return void request.socket.destroy();
    if (fault === "hang") return;
    if (fault)
      return void send(fault.status, { error: { message: "not now" } }, fault.retryAfter ? { "retry-after": fault.retryAfter } : {});
    this.asked.push(body);
    this.#busy++;
    this.busiest = Math.max(this.busiest, this.#busy);
    try {
      // Others get to come.
      await sleep(10);
      send(200, await this.#told(body));
    } catch (error) {
      refuse(400, (error as Error).message);
    } finally {
      this.#busy--;
    }
  }

  async #told(body: Record<string, unknown>): Promise<unknown> {
    const { dialect } = this.ways;
    const prompts = (body.prompt ?? body.input_ids) as number[][];
    if (dialect === "vllm") return this.#choices(prompts, body.prompt_logprobs, (prompt, k) => this.#vllm(prompt, k));
    if (dialect === "none") return this.#choices(prompts, 1, async () => ({ text: "", logprobs: null }));
    if (dialect !== "sglang")
      return this.#choices(prompts, body.echo ? body.logprobs : undefined, (prompt, k) => this.#echo(prompt, k, dialect === "echo"));
    const [starts, ks] = [body.logprob_start_len as number[], body.top_logprobs_num as number[]];
    return Promise.all(prompts.map((prompt, i) => this.#sglang(prompt, starts[i] as number, ks[i] as number)));
  }

  async #choices(prompts: number[][], k: unknown, choice: (prompt: number[], k: number) => Promise<object>) {
    const choices = await Promise.all(prompts.map(async (prompt, index) => ({ index, ...(await choice(prompt, this.#k(k))) })));
    // Nothing says that they come in order.
    return { object: "text_completion", model: "served", choices: choices.reverse() };
  }

  #k(k: unknown): number {
    if (typeof k !== "number") throw new Error("no log-probabilities were asked for");
    if (k > this.ways.maxLogprobs) throw new Error(`Requested prompt logprobs of ${k}, which is greater than max allowed`);
    return k;
  }

  async #vllm(prompt: number[], k: number) {
    const rows = await this.#rows(prompt, k);
    const { tokenizer } = this.#model;
    const told = rows.map(([given, top]) =>
      Object.fromEntries([given, ...top].map(([id, logprob]) => [id, { logprob, rank: 1, decoded_token: tokenizer.idToToken(id) }])),
    );
    return { text: "x", logprobs: null, prompt_logprobs: [null, ...told] };
  }

  async #echo(prompt: number[], k: number, named: boolean) {
    const name = (id: number) => (named ? `token_id:${id}` : (this.#model.tokenizer.idToToken(id) as string));
    const rows = await this.#rows(prompt, k);
    return {
      text: "x",
      logprobs: {
        tokens: [...prompt.slice(0, 1), ...rows.map(([[id]]) => id), 5].map(name),
        token_logprobs: [null, ...rows.map(([[, logprob]]) => logprob), -1],
        top_logprobs: [null, ...rows.map(([given, top]) => Object.fromEntries([given, ...top].map(([id, x]) => [name(id), x]))), {}],
      },
    };
  }

  async #sglang(prompt: number[], start: number, k: number) {
    const rows = (await this.#rows(prompt, this.#k(k))).slice(start);
    const entry = ([id, logprob]: [number, number]) => [logprob, id, null];
    return {
      text: "x",
      meta_info: {
        input_token_logprobs: [[null, prompt[start], null], ...rows.map(([given]) => entry(given))],
        input_top_logprobs: [null, ...rows.map(([, top]) => top.map(entry))],
      },
    };
  }

  /** Of each token but the first: itself, and the k most probable classes. */
  async #rows(prompt: number[], k: number): Promise<[given: [number, number], top: Classes][]> {
    const input = { promptIds: Int32Array.from(prompt.slice(0, 1)), completionIds: Int32Array.from(prompt.slice(1)) };
    const [score] = await this.#scorer.score([input], { kind: "full", k: 0, temperature: 1 });
    const vocab = this.#model.config.vocabSize;
    return prompt.slice(1).map((id, n) => {
      const row = this.ways.bend(score!.full!.slice(n * vocab, (n + 1) * vocab));
      const classes = Array.from(row, (logprob, of): [number, number] => [of, logprob]).sort(([, a], [, b]) => b - a);
      return [[(id + this.ways.shift) % vocab, row[id] as number], classes.slice(0, k)];
    });
  }
}
