import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";

const cli = resolve("dist/services/cli.js");

/** What became of a `retort` command. */
export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `retort` command that is going, in a process group of its own as a terminal's foreground job is. */
export interface CliProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves with the output so far as soon as it matches. */
  output(stream: "stdout" | "stderr", pattern: RegExp): Promise<string>;
  /** What Ctrl-C in a terminal does: the whole group gets SIGINT. */
  ctrlC(): void;
}

/** Starts `retort`. @param node what runs it: Node, or a command that runs Node */
export function startRetort(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
  node: readonly string[] = [process.execPath],
): CliProcess {
  const [command = "", ...args] = node;
  const child = spawn(command, [...args, cli, ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
    detached: true,
  });
  const texts = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]!.on("data", (text: Buffer) => {
      texts[stream] += text;
    });
  }
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...texts }));
  const output = async (stream: "stdout" | "stderr", pattern: RegExp) => {
    while (!pattern.test(texts[stream])) {
      const over = await Promise.race([once(child[stream]!, "data").then(() => false), ended.then(() => true)]);
      if (over && !pattern.test(texts[stream])) throw new Error(`retort ${argv.join(" ")} ended without ${pattern}: ${texts.stderr}`);
    }
    return texts[stream];
  };
  return { child, ended, output, ctrlC: () => process.kill(-child.pid!, "SIGINT") };
}

/** Runs `retort` to its end. */
export const retort = (argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CliResult> => startRetort(argv, env).ended;

/** One clear error: a sentence, no stack, nothing on standard output, and an exit code that is not a crash's. */
export function expectClear({ code, stdout, stderr }: CliResult, message: RegExp): void {
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stdout).toBe("");
  expect([64, 65, 66, 69, 73, 75, 77, 78]).toContain(code);
}
