import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "../../../services/shared/base/nats-server.js";
import { natsUsers, readLogin } from "../../../services/shared/base/nats-users.js";
import { Streams } from "../../../services/shared/base/streams/connection.js";
import { outlast } from "../../../services/shared/base/streams/outlast.js";
import { natsPermissions } from "../../../services/shared/flow/nats-permissions.js";
import { freePort } from "../tools/free-port.js";
import { eventually } from "./nats.js";

const names = ["n0", "n1", "n2"] as const;

/** Three nats-servers that are one cluster, with a user per role and its rights. */
export class NatsCluster {
  readonly url: string;
  /** Directory with the users' passwords. */
  readonly logins: string;
  readonly #binary: string;
  readonly #directory: string;
  readonly #processes = new Map<string, ChildProcess>();
  readonly #open: Streams[] = [];

  private constructor(binary: string, directory: string, url: string, logins: string) {
    this.#binary = binary;
    this.#directory = directory;
    this.url = url;
    this.logins = logins;
  }

  static async start(): Promise<NatsCluster> {
    const binary = await findNatsServer(console.log);
    const directory = await mkdtemp(join(tmpdir(), "retort-cluster-"));
    const { logins, config: users } = await natsUsers(directory, natsPermissions);
    const [clients, routes] = [await Promise.all(names.map(freePort)), await Promise.all(names.map(freePort))];
    for (const [i, name] of names.entries()) {
      const config = `
server_name: ${name}
listen: 127.0.0.1:${clients[i]}
max_payload: 8MB
jetstream { store_dir: ${JSON.stringify(join(directory, name))}, max_file_store: 20G }
cluster { name: retort, listen: 127.0.0.1:${routes[i]}, routes: [${routes.map((port) => `nats://127.0.0.1:${port}`)}] }
${users}
`;
      await writeFile(join(directory, `${name}.conf`), config);
    }
    const password = (await readFile(join(logins, "controller"), "utf8")).trim();
    // Whoever has no file with its password logs in as the controller.
    const urls = clients.map((port, i) => `nats://${i === 0 ? `controller:${password}@` : ""}127.0.0.1:${port}`);
    const cluster = new NatsCluster(binary, directory, urls.join(","), logins);
    for (const name of names) cluster.revive(name);
    await eventually("the servers have elected a leader", () => cluster.#isReady(), 60_000, 200);
    return cluster;
  }

  /** A connection as the controller, or as another role, that `stop` closes. @param at the server that it is to, and to no other */
  async connect(replicas?: number, role = "controller", at?: string): Promise<Streams> {
    const login = readLogin(this.logins, role);
    const url = at ? this.url.split(",")[names.indexOf(at as (typeof names)[number])]! : this.url;
    const streams = await Streams.connect({ url, name: "test", login, ...(replicas ? { replicas } : {}) });
    this.#open.push(streams);
    return streams;
  }

  /** The server that leads a stream. */
  async leaderOf(stream: string): Promise<string> {
    const [streams] = this.#open;
    if (!streams) throw new Error("connect first");
    const { cluster } = await outlast(streams, stream, () => streams.manager.streams.info(stream));
    return cluster?.leader ?? "";
  }

  /** Does something while a server that keeps a stream, without leading it, stands still: then it is behind. @param not this one */
  async whileBehind<T>(stream: string, not: string, work: () => Promise<T>): Promise<T> {
    const leader = await this.leaderOf(stream);
    const behind = this.#processes.get(names.find((name) => name !== leader && name !== not)!);
    behind?.kill("SIGSTOP");
    try {
      return await work();
    } finally {
      behind?.kill("SIGCONT");
    }
  }

  /** Ends a server as a lost machine would. */
  async kill(name: string): Promise<void> {
    const lost = this.#processes.get(name);
    if (!lost) throw new Error(`the server ${name} doesn't run`);
    this.#processes.delete(name);
    const gone = once(lost, "exit");
    lost.kill("SIGKILL");
    await gone;
  }

  /** Starts a server, on the files that it had. */
  revive(name: string): void {
    this.#processes.set(name, spawn(this.#binary, ["--config", join(this.#directory, `${name}.conf`)], { stdio: "ignore" }));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#open.map((streams) => streams.connection.close()));
    for (const name of [...this.#processes.keys()]) await this.kill(name);
    await rm(this.#directory, { recursive: true });
  }

  async #isReady(): Promise<boolean> {
    const streams = await this.connect().catch(() => undefined);
    const account = await streams?.manager.getAccountInfo().catch(() => undefined);
    if (streams && !account) {
      this.#open.splice(this.#open.indexOf(streams), 1);
      await streams.connection.close();
    }
    return account !== undefined;
  }
}
