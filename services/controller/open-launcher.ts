import { hostname } from "node:os";
import { RetortError } from "../shared/base/errors.js";
import type { Log } from "../shared/base/log.js";
import type { ControllerSettings } from "./config.js";
import type { Launcher } from "./launch/launcher.js";
import { LocalLauncher } from "./local/local-launcher.js";

/** How long a process of this machine may take to stop. */
const graceMs = 10_000;

/** The launcher that the settings name. @throws InvalidArgument or NotFound if it lacks something */
export async function openLauncher(settings: ControllerSettings, log: Log): Promise<Launcher> {
  const { maxRestarts, restartWindowMs, owner, natsMonitor, natsAccount } = settings;
  if (settings.launcher === "local") return new LocalLauncher({ settings, maxRestarts, restartWindowMs, graceMs, log });
  if (!settings.podTemplate)
    throw new RetortError("InvalidArgument", "--launcher=kubernetes needs --pod-template FILE, a YAML file with a pod template per role");
  // Not above: the client of Kubernetes is large, and a laptop does without it.
  const { Cluster } = await import("./kubernetes/cluster.js");
  const { KubernetesLauncher } = await import("./kubernetes/launcher.js");
  const { readPodTemplates } = await import("./kubernetes/pod-template.js");
  const cluster = Cluster.connect(settings.namespace);
  const templates = await readPodTemplates(settings.podTemplate);
  const monitor = natsMonitor === undefined ? undefined : { address: natsMonitor, account: natsAccount };
  log.info({ namespace: cluster.namespace, owner }, "the roles of runs live in the cluster");
  return new KubernetesLauncher({ cluster, templates, owner, maxRestarts, restartWindowMs, monitor, log });
}

/** Says in the cluster whether this controller leads. */
export type Mark = (leads: boolean) => Promise<void>;

/** The label of this pod that the controllers' Service selects; undefined for a controller that has none beside it. */
export async function openMark({ leaderLabel, namespace }: ControllerSettings): Promise<Mark | undefined> {
  if (leaderLabel === undefined) return undefined;
  const { Cluster, kinds } = await import("./kubernetes/cluster.js");
  const cluster = Cluster.connect(namespace);
  const { apiVersion, kind } = kinds.pod;
  return async (leads) => {
    const metadata = { name: hostname(), namespace: cluster.namespace, labels: leads ? { [leaderLabel]: "true" } : {} };
    await cluster.apply({ apiVersion, kind, metadata });
  };
}
