import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ControllerClient, connectController, spawnRole } from "../../services/cli/local.js";
import { RetortError } from "../../services/shared/base/errors.js";
import { findNatsServer, type NatsServer, startNatsServer } from "../../services/shared/base/nats-server.js";
import { whenServing } from "../../services/shared/base/ready.js";
import { Streams } from "../../services/shared/base/streams/connection.js";
import { NatsProxy } from "../support/servers/nats-proxy.js";
import { type SmallDisk, smallDisk } from "./disk.js";
import { type Listed, processesOf, signal } from "./processes.js";

/** How a cluster is made. */
export interface ClusterOptions {
  /** Says what happens besides the faults. */
  readonly remark: (sentence: string) => void;
  /** MiB of a disk of its own for everything that is written; 0 for none. */
  readonly diskMebibytes: number;
}

/** NATS, a network that can be bad, and a controller, which are started again whenever they end: what `up` and Kubernetes do. */
export class ChaosCluster {
  readonly directory: string;
  readonly proxy: NatsProxy;
  /** A connection beside the network. */
  readonly streams: Streams;
  /** The small disk, or why there is none. */
  readonly disk: SmallDisk | string;
  readonly #options: ClusterOptions;
  readonly #natsPort: number;
  readonly #binary: string;
  #nats: NatsServer;
  #controller: { readonly child: ChildProcess; readonly client: ControllerClient } | undefined;
  #controllers = 0;
  #natsExpected = false;
  #controllerExpected = false;
  #stopping = false;
  /** Until when nats-server is not started again, in milliseconds since 1970. */
  #downUntil = 0;
  #keeping: Promise<unknown> = Promise.resolve();

  private constructor(
    options: ClusterOptions,
    parts: { directory: string; binary: string; nats: NatsServer; proxy: NatsProxy; streams: Streams; disk: SmallDisk | string },
  ) {
    this.#options = options;
    this.directory = parts.directory;
    this.proxy = parts.proxy;
    this.streams = parts.streams;
    this.disk = parts.disk;
    this.#binary = parts.binary;
    this.#nats = parts.nats;
    this.#natsPort = Number(new URL(parts.nats.url).port);
  }

  /** Starts everything in a new directory; a signal that ends this process ends it all. */
  static async start(options: ClusterOptions): Promise<ChaosCluster> {
    const binary = await findNatsServer((sentence) => console.log(sentence));
    const directory = await mkdtemp(join(tmpdir(), "retort-chaos-"));
    const disk = options.diskMebibytes > 0 ? await smallDisk(directory, options.diskMebibytes) : "not asked for";
    const nats = await startNatsServer({ binary, directory: join(directory, "nats"), port: 0 });
    const proxy = await NatsProxy.start(Number(new URL(nats.url).port));
    const streams = await Streams.connect({ url: nats.url, name: "harness" });
    const cluster = new ChaosCluster(options, { directory, binary, nats, proxy, streams, disk });
    cluster.#keeping = Promise.all([cluster.#keepController(), cluster.#keepNats(), cluster.#askJetStream()]);
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.once(name, () => {
        cluster.stop().finally(() => process.exit(130));
      });
    await cluster.controller();
    return cluster;
  }

  /** The controller that is there, or the next one. */
  async controller(): Promise<ControllerClient> {
    while (!this.#controller) await sleep(50);
    return this.#controller.client;
  }

  /** Calls the controller until it answers: it may be in the midst of being killed. */
  async ask<T>(call: (client: ControllerClient) => Promise<T>, timeoutMs = 120_000): Promise<T> {
    for (const started = Date.now(); ; await sleep(250)) {
      try {
        return await call(await this.controller());
      } catch (error) {
        if (RetortError.from(error).retry === "never" || Date.now() - started > timeoutMs) throw error;
      }
    }
  }

  /** What runs of this cluster. */
  processes(): Promise<Listed[]> {
    return processesOf(this.directory);
  }

  /** The ids of a kind of process; those of the newest controller's generation and of older ones alike. */
  async pids(role: string): Promise<number[]> {
    if (role === "nats") return [this.#nats.process.pid!];
    if (role === "controller") return this.#controller ? [this.#controller.child.pid!] : [];
    return (await this.processes()).filter((listed) => listed.role === role).map(({ pid }) => pid);
  }

  /** Sends a signal to processes of a kind, and says that an end of it is wanted. Returns how many there were. */
  strike(role: string, pids: readonly number[], name: NodeJS.Signals): number {
    if (role === "nats" && name === "SIGKILL") this.#natsExpected = true;
    if (role === "controller" && name === "SIGKILL") this.#controllerExpected = true;
    return pids.filter((pid) => signal(pid, name)).length;
  }

  /** From now on for so long nats-server is not started again when it ends. */
  keepDown(ms: number): void {
    this.#downUntil = Date.now() + ms;
  }

  /** Ends everything and removes its directory; returns the processes that were left behind, which are killed. */
  async stop(): Promise<Listed[]> {
    this.#stopping = true;
    this.proxy.clear();
    const { child } = this.#controller ?? {};
    this.#controller?.client.close();
    if (child && child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 40_000);
      await once(child, "exit");
      clearTimeout(late);
    }
    await this.streams.connection.close();
    await this.#nats.stop();
    await this.#keeping;
    await this.proxy.stop();
    const left = await this.#leftBehind();
    if (typeof this.disk !== "string") await this.disk.stop();
    await rm(this.directory, { recursive: true, force: true });
    return left;
  }

  /** What still runs some seconds after everything was stopped; it is ended then. */
  async #leftBehind(): Promise<Listed[]> {
    let left = await this.processes();
    for (let tries = 0; left.length > 0 && tries < 50; tries++) {
      await sleep(200);
      left = await this.processes();
    }
    for (const { pid } of left) signal(pid, "SIGKILL");
    return left;
  }

  async #keepController(): Promise<void> {
    const logs = join(this.directory, "controllers");
    const flags = ["--nats", `nats://127.0.0.1:${this.proxy.port}`, "--data-dir", this.directory, "--log-format", "json"];
    for (; !this.#stopping; await sleep(500)) {
      const log = join(logs, `${++this.#controllers}.log`);
      try {
        await mkdir(logs, { recursive: true });
        const child = spawnRole("controller", [...flags, "--port", "0"], log);
        const exit = once(child, "exit");
        this.#controllerExpected = false;
        const serving = await whenServing(child, { log }).catch(() => undefined);
        if (serving) this.#controller = { child, client: connectController(`127.0.0.1:${serving.grpcPort}`) };
        const [code, killed] = await exit;
        this.#controller?.client.close();
        this.#controller = undefined;
        if (!this.#controllerExpected && !this.#stopping)
          this.#options.remark(`the controller ended by itself (${killed ?? `code ${code}`}); see its log`);
      } catch (error) {
        // A full disk: there is no room for its log.
        this.#options.remark(`the controller could not be started: ${(error as Error).message}`);
      }
    }
  }

  async #keepNats(): Promise<void> {
    while (!this.#stopping) {
      const reason = await this.#nats.exited;
      if (this.#stopping) return;
      if (!this.#natsExpected) this.#options.remark(`nats-server ended by itself (${reason})`);
      this.#natsExpected = false;
      await sleep(500);
      await this.#reviveNats();
    }
  }

  async #reviveNats(): Promise<void> {
    for (; !this.#stopping; await sleep(500)) {
      if (Date.now() < this.#downUntil) continue;
      try {
        this.#nats = await startNatsServer({ binary: this.#binary, directory: join(this.directory, "nats"), port: this.#natsPort });
        return;
      } catch (error) {
        // A full disk: there is no room for its configuration.
        this.#options.remark(`nats-server could not be started: ${(error as Error).message}`);
      }
    }
  }

  /** A server that runs out of disk switches its JetStream off for good: it must be started again, as a liveness probe would. */
  async #askJetStream(): Promise<void> {
    for (let failures = 0; !this.#stopping; await sleep(1000)) {
      const answer = await this.streams.connection.request("$JS.API.INFO", "", { timeout: 2000 }).catch((error: Error) => error);
      const off = answer instanceof Error ? /no responders/i.test(answer.message) : answer.string().includes("JetStream not enabled");
      failures = off ? failures + 1 : 0;
      if (failures < 3) continue;
      failures = 0;
      this.#options.remark("nats-server has switched its JetStream off; it is started again");
      this.#natsExpected = true;
      this.#nats.process.kill("SIGTERM");
    }
  }
}
