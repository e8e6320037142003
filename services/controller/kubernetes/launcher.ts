import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesObject, V1Deployment, V1Job, V1Pod } from "@kubernetes/client-node";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import type { Log } from "../../shared/base/log.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import type { Ending, Launcher, RoleSet, Watcher } from "../launch/launcher.js";
import { defaultWindowMs } from "../launch/restarts.js";
import { type Cluster, kinds } from "./cluster.js";
import { delayOf, type End, endOfJob, isFinished, type Noted, type PodDelay, PodEnds } from "./ends.js";
import { identityOf, labels, nameOf, podSetOf, selectorOf } from "./labels.js";
import { learnerJob, type ManifestContext, type Owner, roleDeployment } from "./manifests.js";
import { hasFetch, type PodTemplates } from "./pod-template.js";
import { KubernetesPools } from "./pools.js";
import { type QueueMonitor, scaledObject } from "./scaled-object.js";
import { Starts } from "./starts.js";

/** What the launcher of a cluster works with. */
export interface KubernetesLauncherOptions {
  readonly cluster: Cluster;
  readonly templates: PodTemplates;
  /** ConfigMap that owns every run; without it, runs outlive an uninstall. */
  readonly owner?: string;
  /** How often one process is started again after a crash, within the window of time (default {@link defaultWindowMs}). */
  readonly maxRestarts: number;
  readonly restartWindowMs?: number;
  /** Where the queues' lengths are told; without it, and without KEDA, the spec's replicas run from start to end. */
  readonly monitor?: QueueMonitor;
  readonly log: Log;
}

/** How long a run's pods may take to go: their grace period, and what the kubelet needs. */
const goneTimeoutMs = 10 * 60_000;

/** How often an end is told again when its handling failed. */
const retellMs = 5000;

/**
 * Runs roles as pods: the learner as a Job, every other role as a Deployment that the Job owns. The Job is suspended until every
 * Deployment has a pod that runs, and while its run is paused. Kubernetes starts again what crashes; this tells of what that does not
 * help. All its state is the cluster's: a new controller adopts it.
 */
export class KubernetesLauncher implements Launcher {
  readonly #options: KubernetesLauncherOptions;
  readonly #label: string;
  readonly #ends: PodEnds;
  readonly #starts: Starts;
  readonly #pools: KubernetesPools;
  readonly #told = new Set<string>();
  readonly #watches: (() => Promise<void>)[] = [];
  readonly #closed = new AbortController();

  constructor(options: KubernetesLauncherOptions) {
    this.#options = options;
    this.#label = options.owner ?? "none";
    this.#starts = new Starts(options.log);
    this.#pools = new KubernetesPools({ cluster: options.cluster, context: this.#context(), log: options.log });
    this.#ends = new PodEnds({ maxRestarts: options.maxRestarts, windowMs: options.restartWindowMs ?? defaultWindowMs });
  }

  get profiles(): readonly string[] {
    return Object.keys(this.#options.templates.profiles ?? {});
  }

  /** Whether whatever profile a role has, its template has what fetches. A student reads none of it: its weights come from the store. */
  get fetches(): boolean {
    const { profiles = {}, ...roles } = this.#options.templates;
    return [roles, ...Object.values(profiles)].every(({ learner, reward, teacher }) => [learner, reward, teacher].every(hasFetch));
  }

  async launch(run: Run, sets: readonly RoleSet[]): Promise<void> {
    const [first, ...others] = sets;
    const learner = found(first, "the run's learner");
    const job = await this.#learner(run, learner, others.length > 0);
    const waits = job.spec?.suspend === true;
    const owner: Owner = { apiVersion: "batch/v1", kind: "Job", ...identityOf(job) };
    const scaled = await this.#scaled();
    for (const set of others) await this.#deploy(run, set, owner, scaled, waits);
    const begin = async () => {
      await this.#options.cluster.change(kinds.job, nameOf(learner), { spec: { suspend: false } });
      if (scaled) for (const set of others) if (!set.pool) await this.#scale(run, set, owner, scaled);
    };
    if (!waits) return this.#starts.cancel(run.runId);
    // One that is to stop needs its learner alone.
    if (others.length === 0) return begin();
    this.#starts.wait(run.runId, {
      // A pool that follows its queues has no pod while there is no work.
      sets: others.filter(({ pool }) => !pool || !scaled),
      podsOf: () => this.#podsFor(run.runId, others),
      isThere: async () => (await this.#options.cluster.read(kinds.job, owner.name))?.metadata?.uid === owner.uid,
      begin,
    });
  }

  /** Neither the learner's Job nor a Deployment of the run's own has a pod then. They stay: a resume finds them. */
  async pause(runId: string, sets: readonly RoleSet[]): Promise<void> {
    const { cluster } = this.#options;
    this.#starts.cancel(runId);
    this.#pools.leave(runId);
    const scaled = await this.#scaled();
    for (const set of sets) {
      if (set.role === "learner") await cluster.change(kinds.job, nameOf(set), { spec: { suspend: true } });
      else if (!set.pool) {
        if (scaled) await cluster.delete(kinds.scaledObject, nameOf(set));
        await cluster.change(kinds.deployment, nameOf(set), { spec: { replicas: 0 } });
      }
    }
  }

  /** The pods of a run, and of the pools that stand for its teachers. */
  async #podsFor(runId: string, sets: readonly RoleSet[]): Promise<V1Pod[]> {
    const pools = sets.flatMap(({ pool }) => (pool ? [`${selectorOf(this.#label)},${labels.pool}=${pool.key}`] : []));
    const selectors = [selectorOf(this.#label, runId), ...pools];
    return (await Promise.all(selectors.map((selector) => this.#options.cluster.list<V1Pod>(kinds.pod, selector)))).flat();
  }

  /** Where queues are told, if KEDA is there to follow them. */
  async #scaled(): Promise<QueueMonitor | undefined> {
    const { cluster, monitor } = this.#options;
    return monitor && (await cluster.knows(kinds.scaledObject)) ? monitor : undefined;
  }

  /** @param waits the run has not begun, or begins again after a pause */
  async #deploy(run: Run, set: RoleSet, owner: Owner, scaled: QueueMonitor | undefined, waits: boolean): Promise<void> {
    const { cluster } = this.#options;
    const spec = run.spec?.roles?.[set.role];
    if (set.pool) return this.#pools.join(set, set.pool, spec, await this.#owner(), scaled);
    // One pod shows that the role has a node and its image; a queue decides of the others.
    const replicas = scaled ? 1 : set.replicas;
    const deployment = await this.#owned<V1Deployment>(kinds.deployment, set, owner);
    // A run keeps the pods that it began with, whatever an upgrade has made of the templates.
    if (!deployment) await cluster.apply(roleDeployment(set, spec, this.#context(), owner, replicas));
    else if (waits && deployment.spec?.replicas === 0) await cluster.change(kinds.deployment, nameOf(set), { spec: { replicas } });
    if (scaled && !waits) await this.#scale(run, set, owner, scaled);
  }

  async #scale(run: Run, set: RoleSet, owner: Owner, scaled: QueueMonitor): Promise<void> {
    const there = await this.#owned(kinds.scaledObject, set, owner);
    // A pause has taken it away a moment ago, and KEDA lets go of it by and by.
    if (there?.metadata?.deletionTimestamp)
      throw new RetortError("Unavailable", `the ScaledObject ${nameOf(set)} of before the pause is still being deleted`);
    if (there) return;
    await this.#options.cluster.apply(scaledObject(set, run.spec?.roles?.[set.role], this.#context(), owner, scaled));
  }

  /** The kubelets kill what does not leave within its grace; a run that is to be killed is not waited for. */
  async stop(runId: string, ending: Ending = "asked"): Promise<void> {
    const { cluster } = this.#options;
    this.#starts.cancel(runId);
    const selector = selectorOf(this.#label, runId);
    this.#pools.leave(runId);
    // The Job goes first: with it goes what it owns, even if this process does not live to see it.
    const objects = await Promise.all(
      [kinds.job, kinds.deployment].map(async (kind) =>
        (await cluster.list(kind, selector)).map((object) => ({ kind, ...identityOf(object) })),
      ),
    );
    for (const { kind, name } of objects.flat()) await cluster.delete(kind, name);
    if (ending === "killed") return;
    for (const deadline = Date.now() + goneTimeoutMs; ; await sleep(500)) {
      const left = [...(await cluster.list(kinds.pod, selector)), ...(await cluster.list(kinds.job, selector))];
      if (left.length === 0) return;
      if (Date.now() > deadline)
        throw new RetortError(
          "DeadlineExceeded",
          `waited ${goneTimeoutMs} ms for run ${runId} to go; left: ${left.map(nameIn).join(", ")}`,
        );
    }
  }

  async watch(watcher: Watcher): Promise<void> {
    const { cluster, log } = this.#options;
    const selector = selectorOf(this.#label);
    const jobEnded = async (job: V1Job) => {
      if (!isFinished(job) || job.metadata?.deletionTimestamp) return;
      const runSelector = `${selectorOf(this.#label, podSetOf(job).runId)},${labels.component}=learner`;
      await this.#tell(job, endOfJob(job, await cluster.list<V1Pod>(kinds.pod, runSelector)), watcher);
    };
    const persist = (work: () => Promise<void>) => void this.#persist(work);
    const podChanged = (pod: V1Pod) => {
      if (pod.metadata?.deletionTimestamp) return this.#ends.forget(pod);
      persist(() => this.#tellDelay(pod, delayOf(pod), watcher));
      // Once per end: what is repeated below must not count it again.
      const noted = this.#ends.note(pod);
      if (noted) persist(() => this.#podEnded(pod, noted, watcher));
    };
    await this.#pools.adopt();
    this.#watches.push(
      cluster.watch<V1Job>(kinds.job, selector, (job) => persist(() => jobEnded(job)), log),
      cluster.watch<V1Pod>(kinds.pod, selector, podChanged, log),
    );
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#starts.close();
    this.#pools.close();
    await Promise.all(this.#watches.map((stop) => stop()));
  }

  /** Tells of what Kubernetes alone does not see: too many ends in the window, and the end of a run that is over. */
  async #podEnded(pod: V1Pod, noted: Noted, watcher: Watcher): Promise<void> {
    const { name, uid } = identityOf(pod);
    const { restart, cause, warning, code, message } = noted;
    const isLearner = pod.metadata?.labels?.[labels.component] === "learner";
    // The Job says when a learner has ended because its input is bad.
    if (!restart && !(isLearner && cause === "hopeless")) return this.#tell(pod, { code, message }, watcher);
    for (const { runId } of this.#setsOf(pod)) {
      if (isLearner && code !== 0 && (await watcher.goesOn?.(runId)) === false) return this.#tell(pod, { code, message }, watcher);
      const words = `${name} ${warning}${message ? ` (${message})` : ""}; it is started again`;
      if (warning) await watcher.delayed({ runId, key: `${uid}/${cause}/${noted.count}`, message: words });
    }
  }

  /** The sets that an object stands for: one, or those of the runs that share its pool. */
  #setsOf(object: KubernetesObject): readonly RoleSet[] {
    const pool = object.metadata?.labels?.[labels.pool];
    return pool === undefined ? [{ ...podSetOf(object), replicas: 1 }] : this.#pools.setsOf(pool);
  }

  #context(): ManifestContext {
    const { cluster, templates } = this.#options;
    return { namespace: cluster.namespace, templates, owner: this.#label };
  }

  /** The run's learner: the one that is there, or a new one in place of one that has ended. @param waits a new one has no pod yet */
  async #learner(run: Run, set: RoleSet, waits: boolean): Promise<V1Job> {
    const { cluster } = this.#options;
    const job = await cluster.read<V1Job>(kinds.job, nameOf(set));
    if (job && !isFinished(job) && !job.metadata?.deletionTimestamp) return job;
    // One whose Job was deleted a moment ago may still be saving its checkpoint.
    const leaving = `${selectorOf(this.#label, run.runId)},${labels.component}=learner`;
    if (job || (await cluster.list(kinds.pod, leaving)).length > 0) await this.stop(run.runId);
    return cluster.create(learnerJob(set, run.spec?.roles?.learner, this.#context(), await this.#owner(), waits));
  }

  async #owner(): Promise<Owner | undefined> {
    const { cluster, owner } = this.#options;
    if (owner === undefined) return undefined;
    const { apiVersion, kind } = kinds.configMap;
    const configMap = await cluster.read(kinds.configMap, owner);
    if (!configMap)
      throw new RetortError(
        "FailedPrecondition",
        `there is no ConfigMap ${owner} in namespace ${cluster.namespace}; --owner must name one`,
      );
    return { apiVersion, kind, ...identityOf(configMap) };
  }

  /** The object of a set of pods, if it belongs to the run's learner of now. */
  async #owned<T extends KubernetesObject>(
    kind: (typeof kinds)["deployment" | "scaledObject"],
    set: RoleSet,
    { uid }: Owner,
  ): Promise<T | undefined> {
    const object = await this.#options.cluster.read<T>(kind, nameOf(set));
    return object?.metadata?.ownerReferences?.some((reference) => reference.uid === uid) ? object : undefined;
  }

  /** Tells of an end, once, however often its object changes. */
  async #tell(object: KubernetesObject, end: End | undefined, watcher: Watcher): Promise<void> {
    if (!end) return;
    const { uid } = identityOf(object);
    for (const set of this.#setsOf(object)) await this.#once([uid, set.runId, set.teacher].join("/"), () => watcher.ended({ set, ...end }));
  }

  async #tellDelay(pod: V1Pod, delay: PodDelay | undefined, watcher: Watcher): Promise<void> {
    if (!delay) return;
    const { name, uid } = identityOf(pod);
    const key = `${uid}/${delay.reason}`;
    const message = `pod ${name} does not start: ${delay.reason}: ${delay.message}`;
    for (const { runId } of this.#setsOf(pod)) await this.#once(`${runId}/${key}`, () => watcher.delayed({ runId, key, message }));
  }

  /** Does what a key stands for once, or again if it failed. */
  async #once(key: string, work: () => Promise<void>): Promise<void> {
    if (this.#told.has(key)) return;
    this.#told.add(key);
    try {
      await work();
    } catch (error) {
      this.#told.delete(key);
      throw error;
    }
  }

  /** Repeats what depends on NATS and the API server until it succeeds. */
  async #persist(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        return await work();
      } catch (error) {
        this.#options.log.warn({ err: error }, `handling an end failed; trying again in ${retellMs} ms`);
        await sleep(retellMs, undefined, { signal }).catch(() => {});
      }
    }
  }
}

const nameIn = ({ metadata }: { metadata?: { name?: string } }): string => metadata?.name ?? "";
