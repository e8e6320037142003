import { type DescMethod, type DescService, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { createLog } from "../../../services/shared/base/log.js";
import { checkMessage } from "../../../services/shared/base/rpc/check-message.js";
import type { Implementation } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { mutatedBytes } from "./bytes.js";
import { checkText, fuzz } from "./cases.js";
import { mutatedMessage, randomMessage } from "./messages.js";
import type { Random } from "./random.js";
import { type RawAnswer, RawClient } from "./raw-client.js";
import { randomText } from "./values.js";

/** What is known of a service besides its descriptor. */
export interface Fuzzed {
  readonly implementation: Implementation;
  /** Of each method, requests that are answered with OK; the first one's answer must stay the same. */
  readonly good: Readonly<Record<string, readonly Message[]>>;
  /** Makes a request harmless (no writing outside of the test's directory) and cheap, in place; false leaves it out. */
  readonly tame?: (method: DescMethod, request: Message) => boolean;
  /** What of an answer may differ from call to call, taken out. */
  readonly lasting?: (method: DescMethod, answers: readonly Message[]) => unknown;
  /** Streams that end only when they are left. */
  readonly endless?: readonly string[];
  /** Methods whose good request is no test of health: what it answers depends on what was asked before. */
  readonly unlike?: readonly string[];
}

/** Bytes that a request may take here; the server's limit. */
const maxMessageBytes = 4 * 1024 * 1024;

/** Most bytes that the process may grow by over all cases; a model's thread and its first steps take a good part of it. */
const mostGrowth = 768 * 1024 * 1024;

/** Longest that a call may take, on a machine that is busy with other things. */
const patienceMs = 45_000;

/** A server with one service, and a client that sends it whatever bytes it likes. */
export class ServiceFuzz {
  readonly server: RpcServer;
  readonly #fuzzed: Fuzzed;
  #client: RawClient | undefined;

  constructor(fuzzed: Fuzzed) {
    this.#fuzzed = fuzzed;
    const log = createLog("fuzz", { level: "silent", format: "json" });
    this.server = new RpcServer([fuzzed.implementation], { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes }, log);
  }

  async start(): Promise<void> {
    await this.server.start();
    this.#client = new RawClient(this.server.port);
  }

  async stop(): Promise<void> {
    this.#client?.close();
    await this.server.stop();
  }

  get #service(): DescService {
    return this.#fuzzed.implementation.service;
  }

  /**
   * Asks with random, mutated and broken requests; after every 50, that good ones are answered as before.
   *
   * @throws if a call is answered as a bug of the server, shows code or secrets, or takes too long; if the server no longer works
   */
  async run(share: number): Promise<void> {
    const before = await this.#goodAnswers();
    const { rss } = process.memoryUsage();
    await fuzz(this.#service.typeName, share, async (random, i) => {
      await this.#one(random);
      if (i % 50 === 49) await this.#expectSame(before);
    });
    await this.#expectSame(before);
    const grown = process.memoryUsage().rss - rss;
    if (grown > mostGrowth) throw new Error(`the process grew by ${grown} bytes`);
  }

  /** Sends one request's bytes. @throws if the answer is not as it must be */
  async send(
    method: DescMethod,
    bytes: Buffer,
    expect: { readonly cut?: boolean; readonly cancelAfterMs?: number } = {},
    metadata = {},
  ): Promise<RawAnswer> {
    const endless = this.#fuzzed.endless?.includes(method.name);
    const deadlineMs = expect.cut ? 0 : endless ? 400 : patienceMs;
    const { cancelAfterMs } = expect;
    const answer = await this.#client!.call(method, bytes, { deadlineMs, cancelAfterMs, metadata });
    this.#judge(method, answer, { left: Boolean(expect.cut || endless || cancelAfterMs !== undefined) });
    return answer;
  }

  #judge(method: DescMethod, answer: RawAnswer, { left }: { readonly left: boolean }): void {
    const { code, details, trailers, answers } = answer;
    const said = `${method.name} was answered with status ${code}: ${details.slice(0, 300)}`;
    if (code === 2 || code === 13) throw new Error(`${said}; that is a bug's`);
    if (!left && (code === 4 || code === 1)) throw new Error(`${said}; it took too long`);
    if (code === 14) throw new Error(`${said}; the server is gone`);
    for (const text of [details, ...trailers.map(String)]) checkText(text);
    for (const bytes of answers) checkMessage(method.output, fromBinary(method.output, bytes));
  }

  async #one(random: Random): Promise<void> {
    const method = random.pick(this.#service.methods);
    const known = this.#fuzzed.good[method.localName]!;
    const kind = random.int(10);
    const request = kind < 3 ? randomMessage(random, method.input) : mutatedMessage(random, method.input, random.pick(known));
    if (this.#fuzzed.tame?.(method, request) === false) return;
    let bytes: Buffer = Buffer.from(toBinary(method.input, request));
    if (kind >= 6) bytes = kind === 9 ? random.bytes(random.pick([1, 2, 5, 30, 300])) : mutatedBytes(random, bytes);
    if (kind >= 6 && !this.#mayBeSent(method, bytes)) return;
    const left = random.int(12);
    if (left === 0) await this.send(method, bytes, { cut: true });
    else if (left === 1) await this.send(method, bytes, { cancelAfterMs: random.int(20) });
    else await this.send(method, bytes, {}, left === 2 ? randomMetadata(random) : {});
  }

  /** False for changed bytes that are still a request, of a kind that {@link Fuzzed.tame} would have changed. */
  #mayBeSent(method: DescMethod, bytes: Buffer): boolean {
    const { tame } = this.#fuzzed;
    if (!tame) return true;
    try {
      const request = fromBinary(method.input, bytes);
      const before = Buffer.from(toBinary(method.input, request));
      return tame(method, request) && before.equals(toBinary(method.input, request));
    } catch {
      return true;
    }
  }

  async #goodAnswers(): Promise<string[]> {
    const answers: string[] = [];
    for (const method of this.#service.methods) {
      const [request] = this.#fuzzed.good[method.localName]!;
      if (this.#fuzzed.endless?.includes(method.name) || this.#fuzzed.unlike?.includes(method.name)) continue;
      const { code, details, answers: bytes } = await this.send(method, Buffer.from(toBinary(method.input, request!)));
      if (code !== 0) throw new Error(`a good ${method.name} was answered with status ${code}: ${details}`);
      const messages = bytes.map((one) => fromBinary(method.output, one));
      answers.push(text(this.#fuzzed.lasting?.(method, messages) ?? messages));
    }
    return answers;
  }

  async #expectSame(before: readonly string[]): Promise<void> {
    const health = { name: "Check", parent: { typeName: "grpc.health.v1.Health" }, methodKind: "unary" } as unknown as DescMethod;
    const { code, answers } = await this.#client!.call(health, Buffer.alloc(0), { deadlineMs: patienceMs });
    if (code !== 0 || answers[0]?.[1] !== 1)
      throw new Error(`the health service answers with status ${code}, ${answers[0]?.toString("hex")}`);
    const after = await this.#goodAnswers();
    for (const [i, answer] of after.entries())
      if (answer !== before[i]) throw new Error(`a good request is answered otherwise than before:\n${before[i]}\n${answer}`);
  }
}

const text = (value: unknown): string => JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part));

/** Metadata of a caller who writes what they like; the keys must be those that a client can send at all. */
function randomMetadata(random: Random): Record<string, string | Buffer> {
  const word = () =>
    randomText(random)
      .replace(/[^ -~]/g, "?")
      .slice(0, 500);
  return {
    authorization: random.pick([word(), "Bearer ", "Basic Og=="]),
    traceparent: random.pick([
      "",
      "00-0-0-0",
      word(),
      `00-${"0".repeat(32)}-${"0".repeat(16)}-01`,
      `00-${"a".repeat(32)}-${"b".repeat(16)}-ff`,
    ]),
    "x-some-bin": random.bytes(random.int(40)),
    tracestate: word(),
  };
}
