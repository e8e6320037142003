import { setTimeout as sleep } from "node:timers/promises";
import type { ChaosCluster } from "./cluster.js";
import { type Deed, type Fault, kindOf, type Role } from "./schedule.js";

/** What undoes a fault; undefined for one that is over at once. */
type Undo = (() => Promise<void>) | undefined;

/** How each deed is done; it returns what ends it. */
const deeds: Readonly<Record<Deed, (cluster: ChaosCluster, fault: Fault) => Promise<Undo>>> = {
  kill: async (cluster, { victim }) => {
    // With the controller its roles go, a moment later.
    const all = victim === "controller" ? (await cluster.processes()).filter(({ role }) => role !== "nats").map(({ pid }) => pid) : [];
    const killed = await some(cluster, victim as Role);
    cluster.strike(victim, killed, "SIGKILL");
    return () => replaced(cluster, victim, [...killed, ...all]);
  },
  down: async (cluster, { victim, holdMs }) => {
    cluster.keepDown(holdMs);
    const killed = await some(cluster, victim as Role);
    cluster.strike(victim, killed, "SIGKILL");
    return () => replaced(cluster, victim, killed);
  },
  freeze: async (cluster, { victim }) => {
    const pids = await some(cluster, victim as Role);
    cluster.strike(victim, pids, "SIGSTOP");
    return async () => {
      cluster.strike(victim, pids, "SIGCONT");
    };
  },
  lose: async ({ proxy }, { victim }) => weather(() => proxy.set(nameOf(victim), { kind: "lost" }), proxy),
  delay: async ({ proxy }, { victim }) => weather(() => proxy.set(nameOf(victim), { kind: "late", ms: 250 }), proxy),
  cut: async ({ proxy }, { victim }) => {
    proxy.cut(nameOf(victim));
    return undefined;
  },
  fill: async ({ disk }) => {
    if (typeof disk === "string") throw new Error(disk);
    await disk.fill();
    return () => disk.free();
  },
};

function weather(change: () => void, proxy: ChaosCluster["proxy"]): Undo {
  change();
  return async () => proxy.clear();
}

const nameOf = (victim: Fault["victim"]): string => (victim === "everyone" ? "*" : victim);

/** The first process of a kind: of two students the other goes on. Waits while there is none. */
async function some(cluster: ChaosCluster, victim: string): Promise<number[]> {
  for (let tries = 0; tries < 600; tries++) {
    const [pid] = await cluster.pids(victim);
    if (pid !== undefined) return [pid];
    await sleep(50);
  }
  throw new Error(`waited 30 s in vain for a ${victim} to strike`);
}

/** Resolves when none of these runs any more, and another of the kind does; in vain after a while, as at the run's end. */
async function replaced(cluster: ChaosCluster, victim: string, pids: readonly number[]): Promise<void> {
  for (const started = performance.now(); performance.now() - started < 30_000; await sleep(100)) {
    const now = new Set((await cluster.processes()).map(({ pid }) => pid));
    const next = (await cluster.pids(victim)).some((pid) => !pids.includes(pid));
    if (next && !pids.some((pid) => now.has(pid))) return;
  }
}

/** A fault that is going on. */
export interface Going {
  /** Resolves when it is over. */
  readonly over: Promise<void>;
}

/** Does a fault; it ends by itself after its time. */
export async function inject(cluster: ChaosCluster, fault: Fault): Promise<Going> {
  const undo = await deeds[fault.deed](cluster, fault);
  if (!undo) return { over: Promise.resolve() };
  const over = sleep(fault.holdMs).then(undo);
  over.catch((error: Error) => console.error(`${kindOf(fault)} could not be ended: ${error.message}`));
  return { over };
}
