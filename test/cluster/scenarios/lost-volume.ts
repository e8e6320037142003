import type { RunEvent } from "../../../services/shared/gen/retort/v1/events_pb.js";
import { until } from "../support/commands.js";
import type { Installation } from "../support/installation.js";
import { execute, fetchedDigests, gone, succeeded } from "../support/runs.js";
import { check, say } from "../support/say.js";

/**
 * A run that loses the volume with its checkpoints, and every pod that had it: it waits until there is one again, says what is lost, and begins again. What
 * NATS keeps (the run, its events, the weights) is there.
 */
export async function lostVolume(installation: Installation, steps: number, expected: string): Promise<void> {
  const acting: Promise<void>[] = [];
  const watched = await execute(installation, "lost", steps, ({ event }) => {
    if (event.case === "stepFinished" && event.value.step === 8 && acting.length === 0) acting.push(lose(installation));
  });
  await Promise.all(acting);
  succeeded(watched);
  const { run, events } = watched;
  const warning = events.map(warningOf).find((text) => text !== undefined && /^the checkpoint of step \d+ isn't at .* any more/.test(text));
  check("lost: the run says which checkpoint is gone, and where it begins again", warning !== undefined);
  say(`lost: ${warning}`);
  const digest = (await fetchedDigests(installation, run.runId)).get("model.safetensors");
  check("lost: its weights are, bit for bit, those of the undisturbed runs", digest === expected, `${digest} ${expected}`);
  await gone(installation, run.runId);
}

const warningOf = ({ event }: RunEvent): string | undefined => (event.case === "warning" ? event.value.message : undefined);

async function lose(installation: Installation): Promise<void> {
  const { kubectl, selector } = installation;
  await kubectl.run("delete", "pvc", "retort-data", "--wait=false");
  await kubectl.run("delete", "pods", "-l", `${selector},app.kubernetes.io/name=retort`, "--wait=false");
  const claims = async () => (await kubectl.names("pvc")).filter((name) => name === "persistentvolumeclaim/retort-data");
  await until("the claim is gone", claims, (left) => left.length === 0, 400_000);
  const waiting = await kubectl.run("get", "pods", "-l", selector, "--field-selector=status.phase=Pending", "-o", "name");
  check("lost: the claim is gone, and the pods that want it wait", waiting.includes("pod/retort-"), waiting);
  // Makes what is missing of the release again.
  await installation.upgrade();
  say("lost: an upgrade has made another claim");
}
