import type { V1Deployment } from "@kubernetes/client-node";
import { found } from "../../shared/base/found.js";
import type { Log } from "../../shared/base/log.js";
import type { RoleSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { Pool, RoleSet } from "../launch/launcher.js";
import { type Cluster, kinds } from "./cluster.js";
import { identityOf, labels, nameOf, selectorOf } from "./labels.js";
import { type ManifestContext, type Owner, roleDeployment } from "./manifests.js";
import { pooledScaledObject, type QueueMonitor } from "./scaled-object.js";

/** What pools are made with. */
export interface PoolsOptions {
  readonly cluster: Cluster;
  readonly context: ManifestContext;
  readonly log: Log;
}

/** Annotation of a pool's Deployment: how long it stays without a run. */
const keepWarm = "retort/keep-warm-ms";

interface Members {
  /** The sets that share the pool, by run and teacher. */
  readonly sets: Map<string, RoleSet>;
  keepWarmMs: number;
  cooling?: NodeJS.Timeout | undefined;
}

/**
 * Teachers that runs share, as pods: a Deployment for each pool, which the release owns, since it outlives its runs. Which runs share
 * the supervisor says again after a restart of the controller.
 */
export class KubernetesPools {
  readonly #options: PoolsOptions;
  readonly #pools = new Map<string, Members>();

  constructor(options: PoolsOptions) {
    this.#options = options;
  }

  /** The sets that a pool's pods stand for. */
  setsOf(pool: string): readonly RoleSet[] {
    return [...(this.#pools.get(pool)?.sets.values() ?? [])];
  }

  /** Has a pool's pods stand for a run's teacher. @param monitor where the queues' lengths are told; undefined: the replicas run */
  async join(
    set: RoleSet,
    { key, keepWarmMs }: Pool,
    spec: RoleSpec | undefined,
    owner: Owner | undefined,
    monitor: QueueMonitor | undefined,
  ): Promise<void> {
    const { cluster, context } = this.#options;
    const members: Members = this.#pools.get(key) ?? { sets: new Map(), keepWarmMs };
    this.#pools.set(key, members);
    clearTimeout(members.cooling);
    members.cooling = undefined;
    members.keepWarmMs = keepWarmMs;
    members.sets.set(`${set.runId}/${set.teacher}`, set);
    const pods = { role: "teacher", poolKey: key, fetches: set.fetches ?? [] } as const;
    const most = Math.max(...[...members.sets.values()].map(({ replicas }) => replicas));
    let deployment = await cluster.read<V1Deployment>(kinds.deployment, nameOf(pods));
    const unlike = !monitor && (deployment?.spec?.replicas ?? 0) < most;
    if (!deployment || unlike || deployment.metadata?.annotations?.[keepWarm] !== `${keepWarmMs}`) {
      const made = roleDeployment(pods, spec, context, owner, monitor ? undefined : most);
      const annotations = { ...made.metadata?.annotations, [keepWarm]: `${keepWarmMs}` };
      // Pods stay as they began, whatever an upgrade has made of the templates; how many there are, and how long they stay, may change.
      const pod = deployment?.spec && { spec: { ...found(made.spec, "the spec of a Deployment"), template: deployment.spec.template } };
      deployment = await cluster.apply<V1Deployment>({ ...made, ...pod, metadata: { ...made.metadata, annotations } });
    }
    if (!monitor) return;
    const parent: Owner = { apiVersion: "apps/v1", kind: "Deployment", ...identityOf(deployment) };
    await cluster.apply(pooledScaledObject(key, [...members.sets.values()], spec, context, parent, monitor));
  }

  /** Has no pool stand for a run any more; one that is left without a run goes after it has stayed warm. */
  leave(runId: string): void {
    for (const [key, members] of this.#pools) {
      for (const [name, set] of members.sets) if (set.runId === runId) members.sets.delete(name);
      if (members.sets.size === 0) this.#cool(key, members);
    }
  }

  /** After a restart: pools that no run has joined go, too. */
  async adopt(): Promise<void> {
    const { cluster, context } = this.#options;
    const deployments = await cluster.list<V1Deployment>(kinds.deployment, `${selectorOf(context.owner)},${labels.pool}`);
    for (const { metadata } of deployments) {
      const key = metadata?.labels?.[labels.pool];
      if (key === undefined || this.#pools.has(key)) continue;
      const members: Members = { sets: new Map(), keepWarmMs: Number(metadata?.annotations?.[keepWarm]) || 0 };
      this.#pools.set(key, members);
      this.#cool(key, members);
    }
  }

  /** Forgets what was to go; pods stay for the next controller. */
  close(): void {
    for (const { cooling } of this.#pools.values()) clearTimeout(cooling);
  }

  #cool(key: string, members: Members): void {
    members.cooling ??= setTimeout(() => {
      this.#remove(key).catch((error: unknown) => {
        this.#options.log.warn({ err: error, pool: key }, "a pool that no run uses could not be removed; trying again");
        members.cooling = undefined;
        if (members.sets.size === 0) this.#cool(key, members);
      });
    }, members.keepWarmMs);
  }

  async #remove(key: string): Promise<void> {
    const { cluster } = this.#options;
    // What scales it is its own.
    await cluster.delete(kinds.deployment, nameOf({ role: "teacher", poolKey: key }));
    if (this.#pools.get(key)?.sets.size === 0) this.#pools.delete(key);
  }
}
