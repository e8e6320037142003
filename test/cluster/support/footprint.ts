import { setTimeout as sleep } from "node:timers/promises";
import { command } from "./commands.js";

interface Summary {
  readonly pods: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string };
    readonly memory?: { readonly workingSetBytes?: number };
  }[];
}

/** How often a kubelet measures a pod anew is its own affair; the first reading of a fresh one takes a while. */
const [patienceMs, pauseMs] = [60_000, 2000];

/** Working set of every pod of a namespace in MiB, as the kubelets measure it; waits until each has been measured. */
export async function footprint(namespace: string): Promise<Map<string, number>> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await measured(namespace);
    if (![...found.values()].includes(0)) return found;
    if (Date.now() > deadline) throw new Error(`the kubelet has not measured ${[...found].filter(([, size]) => size === 0).join(", ")}`);
    await sleep(pauseMs);
  }
}

async function measured(namespace: string): Promise<Map<string, number>> {
  const nodes = (await command("kubectl", ["get", "nodes", "-o", "name"])).split("\n");
  const found = new Map<string, number>();
  for (const node of nodes) {
    const text = await command("kubectl", ["get", "--raw", `/api/v1/nodes/${node.slice("node/".length)}/proxy/stats/summary`]);
    for (const { podRef, memory } of (JSON.parse(text) as Summary).pods)
      if (podRef.namespace === namespace) found.set(podRef.name, Math.round((memory?.workingSetBytes ?? 0) / 1024 ** 2));
  }
  return found;
}
