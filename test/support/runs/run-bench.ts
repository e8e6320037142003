import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { nanos } from "@nats-io/transport-node";
import { filesIn } from "../../../services/learner/model/files-in.js";
import type { NatsUsers } from "../../../services/shared/base/nats-users.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { lastMessage } from "../../../services/shared/base/streams/read.js";
import { resolveRun } from "../../../services/shared/flow/runs/resolve.js";
import { newRun, RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { ensureRun, ensureStreams, streamNames } from "../../../services/shared/flow/streams.js";
import { type ResultKind, subjects } from "../../../services/shared/flow/subjects.js";
import { DirectoryStore } from "../../../services/shared/flow/weights/directory-store.js";
import type { TaskKey } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { loadModel, saveModel } from "../../../services/shared/ml/models/files/model-files.js";
import type { Model } from "../../../services/shared/ml/models/model.js";
import { eventually, TestNats } from "../servers/nats.js";

/** The models and data of the num2words example, whose paths specs may name. */
export const example = (path: string): string => join(resolve("deploy/examples/num2words"), path);

const main = resolve("dist/services/main.js");

/** How long the server waits for a sign of life from whoever holds a record: short, so that lost workers show. */
const ackWaitMs = 600;

/** A role's own process, as the launcher starts it. */
export class RoleProcess {
  readonly #child: ChildProcess;
  readonly exit: Promise<number | null>;
  log = "";

  constructor(argv: readonly string[]) {
    this.#child = spawn(process.execPath, [main, ...argv], { stdio: ["ignore", "ignore", "pipe"], env: process.env });
    this.#child.stderr!.on("data", (text: Buffer) => {
      this.log += text;
    });
    this.exit = once(this.#child, "close").then(([code]) => code as number | null);
  }

  /** Asks it to leave, and gives its exit code. */
  stop(): Promise<number | null> {
    this.#child.kill("SIGTERM");
    return this.exit;
  }

  /** Ends it as a lost machine would. */
  kill(): Promise<number | null> {
    this.#child.kill("SIGKILL");
    return this.exit;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when its log has a line like this. */
  logged(pattern: RegExp): Promise<void> {
    return eventually(`${pattern} in the log: ${this.log.slice(-2000)}`, () => pattern.test(this.log), 60_000);
  }
}

/** One run on a nats-server of its own, in which a test plays the neighbours of the role that it tests. */
export class RunBench {
  readonly runId = "bench";
  readonly directory: string;
  readonly nats: TestNats;
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly store: DirectoryStore;
  readonly #processes: RoleProcess[] = [];

  private constructor(directory: string, nats: TestNats, streams: Streams, runs: RunStore) {
    this.directory = directory;
    this.nats = nats;
    this.streams = streams;
    this.runs = runs;
    this.store = new DirectoryStore(join(directory, "weights"));
  }

  /**
   * @param body the spec without name and student; and without teachers and data, if any will do
   * @param users of the nats-server; default: it lets everyone in
   */
  static async start(body: string, users?: NatsUsers): Promise<RunBench> {
    const data = /^data:/m.test(body) ? "" : "data: { path: data/train.jsonl }\n";
    const taught = /^teachers:/m.test(body) ? "" : "teachers: [{ model: models/teacher }]\n";
    const text = `name: bench\nstudent: { model: models/student }\n${taught}${data}${body}`;
    const spec = parseSpec(text, example("spec.yaml"));
    const nats = await TestNats.start(users);
    const streams = await nats.connect();
    await ensureStreams(streams);
    const bench = new RunBench(await mkdtemp(join(tmpdir(), "retort-bench-")), nats, streams, await RunStore.open(streams));
    const { totalSteps, maxAttempts, teachers } = resolveRun(spec);
    await bench.runs.create(newRun({ runId: bench.runId, spec, state: RunState.RUNNING, totalSteps }));
    await ensureRun(streams, { runId: bench.runId, teachers, rewarded: true, maxAttempts });
    for (const stream of [streamNames.prompts, streamNames.rollouts]) await bench.#shortenPatience(stream);
    return bench;
  }

  async #shortenPatience(stream: string): Promise<void> {
    for await (const { name } of this.streams.manager.consumers.list(stream))
      await this.streams.manager.consumers.update(stream, name, { ack_wait: nanos(ackWaitMs) });
  }

  /** Starts a process of a role. */
  role(role: string, ...argv: readonly string[]): RoleProcess {
    const common = [`--run=${this.runId}`, `--nats=${this.nats.url}`, `--data-dir=${this.directory}`, "--log-format=json", "--threads=1"];
    if (this.nats.logins !== undefined) common.push(`--nats-logins=${this.nats.logins}`);
    const started = new RoleProcess([`--role=${role}`, ...common, ...argv]);
    this.#processes.push(started);
    return started;
  }

  /** Stores a policy version and announces it, as the learner does. */
  async announce(version: number, model?: Model): Promise<void> {
    const fence = (await this.runs.policy(this.runId))?.fence ?? 1n;
    const directory = await this.store.stage(this.runId, fence);
    const weights = await saveModel(directory, model ?? (await loadModel(example("models/student"))));
    await this.store.put(this.runId, version, await filesIn(directory, weights), fence);
    await this.runs.setPolicy(this.runId, { version, fence });
  }

  /** The stored result of a task, as soon as there is one. */
  async result(key: TaskKey, kind: ResultKind): Promise<Uint8Array> {
    let found: Uint8Array | undefined;
    await eventually(
      `the ${kind} of task ${key.step}/${key.task}`,
      async () => {
        found = await this.stored(key, kind);
        return found !== undefined;
      },
      60_000,
    );
    return found!;
  }

  /** The stored result of a task, if there is one. */
  stored(key: TaskKey, kind: ResultKind): Promise<Uint8Array | undefined> {
    return lastMessage(this.streams, streamNames.results, subjects.result(key, kind));
  }

  /** How many messages a stream holds. */
  async count(stream: string): Promise<number> {
    return (await this.streams.manager.streams.info(stream)).state.messages;
  }

  /** Resolves when a consumer has answered everything that there is for it. */
  async idle(stream: string, durable: string): Promise<void> {
    const done = async () => {
      const { num_pending, num_ack_pending } = await this.streams.manager.consumers.info(stream, durable);
      return num_pending + num_ack_pending === 0;
    };
    await eventually(`${durable} has nothing left`, done, 60_000);
  }

  /** Resolves when a consumer's records are in somebody's hands. */
  async inHand(stream: string, durable: string): Promise<void> {
    // It may have been answered already: then nothing is left to take.
    const taken = async () => {
      const { num_ack_pending: inHand, num_pending: left } = await this.streams.manager.consumers.info(stream, durable);
      return inHand > 0 || left === 0;
    };
    await eventually(`somebody has taken a record of ${durable}`, taken, 60_000);
  }

  /** Takes the next record of a consumer and never answers, as a process does that dies over it. */
  async dieOverNext(stream: string, durable: string): Promise<Uint8Array> {
    const consumer = await this.streams.js.consumers.get(stream, durable);
    const message = await consumer.next({ expires: 20_000 });
    if (!message) throw new Error(`there was nothing for ${durable}`);
    return message.data;
  }

  /** Puts bytes that are no record under a subject. */
  async rubbish(subject: string): Promise<void> {
    await publish(this.streams, subject, Uint8Array.of(255, 255, 255), { messageId: `rubbish/${subject}` });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((started) => (started.running ? started.kill() : undefined)));
    await this.nats.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}
