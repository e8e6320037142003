/** Contenders in processes of their own, so that each has memory of its own: a line in is one repetition, a line out its figures. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { allocatorEnvironment } from "../../services/shared/base/allocator-environment.js";
import type { Contender } from "./harness.js";
import { threads } from "./harness.js";
import { peakRss } from "./processes.js";

/** What a repetition came to. */
export interface Figures {
  readonly seconds: number;
  /** Completion tokens, where their number isn't given. */
  readonly tokens?: number;
  readonly [other: string]: number | undefined;
}

/** A program that was started once: each call of `run` is one repetition, timed by the program. */
export class Served implements Contender {
  readonly name: string;
  readonly measures = true;
  /** Of the last repetition. */
  last: Figures = { seconds: 0 };
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.name = name;
    this.#process = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Seconds of one repetition. */
  async run(): Promise<number> {
    this.last = await this.ask();
    return this.last.seconds;
  }

  /** What one repetition came to, with a word to the program. */
  async ask(word = ""): Promise<Figures> {
    this.#process.stdin!.write(`${word}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.name} ended early`);
    return JSON.parse(value) as Figures;
  }

  /** Most bytes that it has held so far. */
  get peak(): number | undefined {
    return peakRss(this.pid);
  }

  /** Ends it, when it has ended. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    if (this.#process.exitCode !== null) return;
    this.#process.stdin!.end();
    await ended;
  }
}

/** A peer in Python. */
export const startPeer = (name: string, script: string, args: readonly string[]): Served =>
  new Served(name, process.env.RETORT_PEERS_PYTHON!, [`test/bench/peers/${script}`, "--serve", "--threads", String(threads), ...args]);

/** Work of ours, in the environment that a role's process has: `kind` is one that `worker.ts` knows. */
export const startOurs = (name: string, kind: string, options: object): Served =>
  new Served(name, process.execPath, [fileURLToPath(new URL("./worker.js", import.meta.url)), kind, JSON.stringify(options)], {
    ...process.env,
    ...allocatorEnvironment(process.env),
  });

/** The other end: calls `work` with each line's word and tells what it came to, its seconds measured here unless it says them. */
export async function serve(work: (word: string) => Promise<Omit<Figures, "seconds"> & { readonly seconds?: number }>): Promise<void> {
  for await (const word of createInterface({ input: process.stdin })) {
    const start = performance.now();
    const figures = await work(word);
    process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - start) / 1000, ...figures })}\n`);
  }
}
