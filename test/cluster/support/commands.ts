import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Runs a program to its end and gives what it printed. Its error carries what it wrote to standard error. */
export async function command(program: string, args: readonly string[], input?: string): Promise<string> {
  const running = run(program, [...args], { maxBuffer: 64 * 1024 * 1024 });
  if (input !== undefined) running.child.stdin!.end(input);
  const { stdout } = await running.catch((error: Error & { stderr?: string }) => {
    throw new Error(`${program} ${args.join(" ")}: ${error.stderr?.trim() || error.message}`);
  });
  return stdout.trim();
}

/** Runs a line of the shell, its output on this terminal. */
export async function shell(line: string): Promise<void> {
  const child = spawn("sh", ["-c", line], { stdio: ["ignore", "inherit", "inherit"] });
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`\`${line}\` ended with code ${code}`);
}

/** kubectl, in one namespace. */
export class Kubectl {
  readonly namespace: string;

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  run(...args: readonly string[]): Promise<string> {
    return command("kubectl", ["-n", this.namespace, ...args]);
  }

  apply(manifest: object): Promise<string> {
    return command("kubectl", ["-n", this.namespace, "apply", "-f", "-"], JSON.stringify(manifest));
  }

  /** Asks a pod to leave as a drained node does; the API server refuses what a PodDisruptionBudget forbids. */
  evict(pod: string): Promise<string> {
    const name = pod.replace(/^pod\//, "");
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace: this.namespace } };
    const path = `/api/v1/namespaces/${this.namespace}/pods/${name}/eviction`;
    return command("kubectl", ["create", "--raw", path, "-f", "-"], JSON.stringify(eviction));
  }

  /** Names of the objects of these kinds (`pods,jobs`) that a selector selects, as kind/name. */
  async names(kinds: string, selector = ""): Promise<string[]> {
    const printed = await this.run("get", kinds, "-o", "name", ...(selector ? ["-l", selector] : []));
    return printed.split("\n").filter((line) => line !== "");
  }
}

/** Waits until something is so; its error says what was waited for and what was seen last. */
export async function until<T>(what: string, look: () => Promise<T>, isSo: (seen: T) => boolean, timeoutMs: number): Promise<T> {
  for (const deadline = Date.now() + timeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 500))) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain: ${what}; last seen: ${JSON.stringify(seen)}`);
  }
}
