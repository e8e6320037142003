import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunStorage } from "../../../services/controller/runs/storage.js";
import { Supervisor } from "../../../services/controller/runs/supervisor.js";
import { controllerService } from "../../../services/controller/service.js";
import { createLog } from "../../../services/shared/base/log.js";
import { type Client, createClient } from "../../../services/shared/base/rpc/client.js";
import { RpcServer, type RpcServerOptions } from "../../../services/shared/base/rpc/server.js";
import { RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { ensureStreams } from "../../../services/shared/flow/streams.js";
import { DirectoryStore } from "../../../services/shared/flow/weights/directory-store.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { TestNats } from "../servers/nats.js";
import { controllerContext } from "./controller-context.js";
import { FakeLauncher } from "./fake-launcher.js";

/** ControllerService over NATS and files, without processes of roles: a test launches and ends them. */
export class ControllerBench {
  readonly client: Client<typeof ControllerService>;
  /** host:port of the controller. */
  readonly address: string;
  readonly runs: RunStore;
  readonly launcher: FakeLauncher;
  readonly #stop: () => Promise<void>;

  private constructor(
    client: Client<typeof ControllerService>,
    address: string,
    runs: RunStore,
    launcher: FakeLauncher,
    stop: () => Promise<void>,
  ) {
    this.client = client;
    this.address = address;
    this.runs = runs;
    this.launcher = launcher;
    this.#stop = stop;
  }

  /** @param access who may call, and how; the bench's own client has no token */
  static async start(access: Pick<RpcServerOptions, "access" | "tls"> = {}): Promise<ControllerBench> {
    const dataDir = await mkdtemp(join(tmpdir(), "retort-controller-"));
    const nats = await TestNats.start();
    const streams = await nats.connect();
    await ensureStreams(streams);
    const runs = await RunStore.open(streams);
    const store = new DirectoryStore(dataDir);
    const storage = new RunStorage({ dataDir, streams, runs, store });
    const launcher = new FakeLauncher();
    const log = createLog("test", { level: "silent", format: "json" });
    const supervisor = new Supervisor({ streams, runs, launcher, log, storage });
    await supervisor.adopt();
    const context = controllerContext({ streams, runs, store, supervisor, storage, directory: dataDir });
    const options = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e7, ...access };
    const server = new RpcServer([controllerService(() => context)], options, log);
    await server.start();
    const address = `127.0.0.1:${server.port}`;
    const client = createClient(ControllerService, address, { timeoutMs: 60_000, maxMessageBytes: 1e7 });
    return new ControllerBench(client, address, runs, launcher, async () => {
      client.close();
      await server.stop();
      await supervisor.close();
      await nats.stop();
      await rm(dataDir, { recursive: true });
    });
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}
