import { command } from "./commands.js";

interface Summary {
  readonly pods: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string };
    readonly memory?: { readonly workingSetBytes?: number };
  }[];
}

/** Working set of every pod of a namespace in MiB, as the kubelets measure it. */
export async function footprint(namespace: string): Promise<Map<string, number>> {
  const nodes = (await command("kubectl", ["get", "nodes", "-o", "name"])).split("\n");
  const found = new Map<string, number>();
  for (const node of nodes) {
    const text = await command("kubectl", ["get", "--raw", `/api/v1/nodes/${node.slice("node/".length)}/proxy/stats/summary`]);
    for (const { podRef, memory } of (JSON.parse(text) as Summary).pods)
      if (podRef.namespace === namespace) found.set(podRef.name, Math.round((memory?.workingSetBytes ?? 0) / 1024 ** 2));
  }
  return found;
}
