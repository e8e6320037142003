import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { type ControllerClient, connectController, type LocalService, startLocal } from "../../../services/cli/local.js";
import { readLogin } from "../../../services/shared/base/nats-users.js";
import { Streams } from "../../../services/shared/base/streams/connection.js";
import { RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import type { RunEvent } from "../../../services/shared/gen/retort/v1/events_pb.js";
import { RolloutSchema, type Sequence } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import type { Run } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { weightsFilesOf } from "../../../services/shared/ml/models/checkpoint/open.js";

const examples = resolve("deploy/examples/num2words");

/**
 * A run spec over the models and data of the num2words example. Its processes compute with one thread unless `body` says otherwise:
 * threads that wait for each other over models as small as these only take time from the other tests.
 */
export const tinySpec = (name: string, body: string): string => `
name: ${name}
seed: 5
student: { model: models/student }
teachers: [{ model: models/teacher }]
data: { path: data/train.jsonl }
${/^roles:/m.test(body) ? "" : "roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }"}
${body}`;

/** What became of a run. */
export interface Watched {
  readonly run: Run;
  readonly events: readonly RunEvent[];
}

/** Everything that `retort up` starts, in a directory of its own. */
export class LocalCluster {
  readonly directory: string;
  readonly controller: ControllerClient;
  /** host:port of the controller. */
  readonly address: string;
  /** URL of the controller's live page. */
  readonly page: string;
  readonly #service: LocalService;
  readonly #streams: Streams;
  readonly #runs: RunStore;

  private constructor(directory: string, service: LocalService, streams: Streams, runs: RunStore, token?: string) {
    this.directory = directory;
    this.#service = service;
    this.address = service.address;
    this.page = service.page;
    this.controller = connectController(service.address, { token });
    this.#streams = streams;
    this.#runs = runs;
  }

  /** @param token what the controller asks for; without it, nothing */
  static async start(token?: string): Promise<LocalCluster> {
    const directory = await mkdtemp(join(tmpdir(), "retort-e2e-"));
    if (token !== undefined) process.env.RETORT_TOKEN = token;
    const service = await startLocal({ dataDir: directory, port: 0, natsPort: 0, progress: (sentence) => console.log(sentence) });
    const login = service.natsLogins ? readLogin(service.natsLogins, "controller") : undefined;
    const streams = await Streams.connect({ url: service.nats, name: "test", login });
    return new LocalCluster(directory, service, streams, await RunStore.open(streams), token);
  }

  /** Starts a run and gives its id. */
  async begin(spec: string): Promise<string> {
    const { run } = await this.controller.startRun({ spec: parseSpec(spec, join(examples, "test.yaml")) });
    return run!.runId;
  }

  /** Follows a run to its end. `onEvent` may interfere. */
  async watch(runId: string, onEvent: (event: RunEvent) => Promise<void> | void = () => {}): Promise<Watched> {
    const events: RunEvent[] = [];
    for await (const { event } of this.controller.watchRun({ runId })) {
      events.push(event!);
      await onEvent(event!);
    }
    const { run } = await this.controller.getRun({ runId });
    return { run: run!, events };
  }

  /** Process id of one of a run's roles. */
  async pidOf(runId: string, role: string): Promise<number> {
    const found = (await this.#runs.registrations(runId)).find((registration) => registration.role === role);
    if (!found) throw new Error(`no ${role} of ${runId} is registered`);
    return found.pid;
  }

  /** The metrics that every process of a role reports. */
  async metricsOf(runId: string, role: string): Promise<string[]> {
    const found = (await this.#runs.registrations(runId)).filter((registration) => registration.role === role);
    const ports = found.map(({ metricsPort }) => metricsPort);
    return Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()));
  }

  /** The metrics that the controller reports. */
  async metricsOfController(): Promise<string> {
    const [, port] = /"metricsPort":(\d+)/.exec(await readFile(join(this.directory, "controller.log"), "utf8")) ?? [];
    return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  }

  /** Gathers every sequence that students and learner send on, as they are; for tests of what flows. */
  gather(): Sequence[] {
    const sequences: Sequence[] = [];
    this.#streams.connection.subscribe("retort.rollouts.>", {
      callback: (_, { data }) => {
        sequences.push(...fromBinary(RolloutSchema, data).sequences);
      },
    });
    return sequences;
  }

  /** Number of messages that a run has left in a stream. */
  async left(stream: string, runId: string): Promise<number> {
    const { state } = await this.#streams.manager.streams.info(stream, { subjects_filter: `retort.*.${runId}.>` });
    return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
  }

  /** A connection to its NATS, for tests that put things there. */
  get streams(): Streams {
    return this.#streams;
  }

  async stop(): Promise<void> {
    this.controller.close();
    await this.#streams.connection.close();
    await this.#service.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** SHA-256 of the trained student's weights, or of its adapter's. */
export async function digestOfStudent({ output }: Run): Promise<string> {
  const [file = ""] = weightsFilesOf(await readdir(output));
  return createHash("sha256")
    .update(await readFile(join(output, file)))
    .digest("hex");
}
