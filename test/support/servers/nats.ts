import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer, type NatsServer, startNatsServer } from "../../../services/shared/base/nats-server.js";
import { type NatsUsers, readLogin } from "../../../services/shared/base/nats-users.js";
import { Streams } from "../../../services/shared/base/streams/connection.js";

/** A nats-server of one test file: a free port, a directory of its own, and the means to kill and revive it. */
export class TestNats {
  #server: NatsServer;
  readonly #binary: string;
  readonly #directory: string;
  readonly #open: Streams[] = [];
  readonly url: string;
  /** Directory with the passwords of the users, if it has any. */
  readonly logins: string | undefined;

  private constructor(binary: string, directory: string, server: NatsServer) {
    this.#binary = binary;
    this.#directory = directory;
    this.#server = server;
    this.url = server.url;
    this.logins = server.logins;
  }

  /** @param users whom it lets in; one of them is the controller, as whom {@link connect} connects. Default: everyone */
  static async start(users?: NatsUsers): Promise<TestNats> {
    const binary = process.env.RETORT_TEST_NATS_SERVER ?? (await findNatsServer((sentence) => console.log(sentence)));
    const directory = await mkdtemp(join(tmpdir(), "retort-nats-"));
    return new TestNats(binary, directory, await startNatsServer({ binary, directory, port: 0, ...(users && { users }) }));
  }

  /** A connection that `stop` closes. */
  async connect(name = "test", replicas?: number): Promise<Streams> {
    const login = this.logins === undefined ? undefined : readLogin(this.logins, "controller");
    const streams = await Streams.connect({ url: this.url, name, ...(login && { login }), ...(replicas ? { replicas } : {}) });
    this.#open.push(streams);
    return streams;
  }

  /** Ends the server as a lost machine would: kill -9. */
  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.#server.process.once("exit", resolve));
    this.#server.process.kill("SIGKILL");
    await gone;
  }

  /** Starts a killed server again on its port and its files. */
  async revive(): Promise<void> {
    const port = Number(new URL(this.url).port);
    this.#server = await startNatsServer({ binary: this.#binary, directory: this.#directory, port });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#open.map((streams) => streams.connection.close()));
    await this.#server.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Waits until a condition holds, and asks for it every few milliseconds, less often as time goes by; its error says what was waited for. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 15_000, everyMs = 20): Promise<void> {
  const start = Date.now();
  while (!(await holds())) {
    const waitedMs = Date.now() - start;
    if (waitedMs > timeoutMs) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    // Asking takes time from those who are waited for.
    const pauseMs = Math.max(everyMs, Math.min(waitedMs / 20, 100));
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
