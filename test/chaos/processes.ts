import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A process of this machine that names a directory on its command line, as all of one installation do. */
export interface Listed {
  readonly pid: number;
  /** What it is: a role's name, or "nats". */
  readonly role: string;
  /** The run that it serves; empty for controller and nats. */
  readonly run: string;
  /** Resident memory in KiB. */
  readonly residentKiB: number;
}

/** Every process whose command line names this directory; those that are dead but not yet waited for are left out. */
export async function processesOf(directory: string): Promise<Listed[]> {
  const { stdout } = await run("ps", ["-ww", "-eo", "pid=,rss=,stat=,args="], { maxBuffer: 1 << 24 });
  return stdout.split("\n").flatMap((line) => {
    const [, pid, rss, stat, args] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (!pid || !args?.includes(directory) || stat!.startsWith("Z")) return [];
    const role = args.includes("nats-server") ? "nats" : /--role=(\w+)/.exec(args)?.[1];
    if (!role) return [];
    return [{ pid: Number(pid), role, run: /--run=(\S+)/.exec(args)?.[1] ?? "", residentKiB: Number(rss) }];
  });
}

/** Sends a signal; false if there is no such process any more. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
