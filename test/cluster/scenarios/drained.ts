import { command, until } from "../support/commands.js";
import type { Installation } from "../support/installation.js";
import { execute, fetchedDigests, gone, succeeded } from "../support/runs.js";
import { check, say } from "../support/say.js";

/**
 * A run whose node is drained: every pod of the release is evicted, NATS and the controller among them. Where there is no other node the run waits, and
 * it goes on when the node takes pods again.
 */
export async function drained(installation: Installation, steps: number, expected: string): Promise<void> {
  const acting: Promise<void>[] = [];
  const watched = await execute(installation, "drained", steps, ({ event }, runId) => {
    if (event.case === "stepFinished" && event.value.step === 7 && acting.length === 0) acting.push(drain(installation, runId));
  });
  await Promise.all(acting);
  succeeded(watched);
  const { run } = watched;
  check("drained: a second learner took the run over, and it succeeded", acting.length === 1 && run.fence > 1n, `fence ${run.fence}`);
  const digest = (await fetchedDigests(installation, run.runId)).get("model.safetensors");
  check("drained: its weights are, bit for bit, those of the undisturbed runs", digest === expected, `${digest} ${expected}`);
  await gone(installation, run.runId);
}

async function drain({ kubectl, selector }: Installation, runId: string): Promise<void> {
  const places = () =>
    kubectl.run("get", "pods", "-l", selector, "-o", "jsonpath={range .items[*]}{.metadata.name}={.spec.nodeName} {end}");
  const learner = `retort/run=${runId},app.kubernetes.io/component=learner`;
  const node = await kubectl.run("get", "pods", "-l", learner, "-o", "jsonpath={.items[0].spec.nodeName}");
  const there = (await places()).split(" ").filter((place) => place.endsWith(`=${node}`));
  const nodes = (await command("kubectl", ["get", "nodes", "-o", "name"])).split("\n");
  try {
    const options = ["--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s", `--pod-selector=${selector}`];
    const printed = await command("kubectl", ["drain", node, ...options]);
    const evicted = [...printed.matchAll(/^pod\/(\S+) evicted$/gm)].map(([, name]) => name);
    say(`drained: evicted ${evicted.sort().join(", ")}`);
    check("drained: every pod that the node had is evicted; no budget holds one", evicted.length === there.length, there.join(", "));
    if (nodes.length > 1) return;
    const waits = "status.phase=Pending";
    const pending = async () => (await kubectl.run("get", "pods", "-l", selector, `--field-selector=${waits}`, "-o", "name")).split("\n");
    const all = async () => (await kubectl.names("pods", selector)).length;
    await until(
      "every pod waits for a node",
      async () => [(await pending()).length, await all()],
      ([one, other]) => one === other,
      60_000,
    );
    check("drained: all that takes their place waits for a node", true);
  } finally {
    await command("kubectl", ["uncordon", node]);
    say(`drained: ${node} takes pods again`);
  }
}
