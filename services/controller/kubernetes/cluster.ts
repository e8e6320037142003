import {
  ApiException,
  CustomObjectsApi,
  KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
} from "@kubernetes/client-node";
import { type ErrorCode, RetortError } from "../../shared/base/errors.js";
import type { Log } from "../../shared/base/log.js";
import { manager } from "./labels.js";

/** A kind of object, and where the API server keeps those of a namespace. */
export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  /** Plural in lower case, as in the URL. */
  readonly resource: string;
}

/** The kinds that the launcher deals with, sorted by name. */
export const kinds = {
  configMap: { apiVersion: "v1", kind: "ConfigMap", resource: "configmaps" },
  deployment: { apiVersion: "apps/v1", kind: "Deployment", resource: "deployments" },
  job: { apiVersion: "batch/v1", kind: "Job", resource: "jobs" },
  pod: { apiVersion: "v1", kind: "Pod", resource: "pods" },
  scaledObject: { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject", resource: "scaledobjects" },
} as const satisfies Record<string, Kind>;

/** After a watch broke, it is taken up again after this. */
const rewatchMs = 2000;

/** The API server, as far as one namespace goes. Every error is a RetortError that says what was tried. */
export class Cluster {
  readonly namespace: string;
  readonly #config: KubeConfig;
  readonly #objects: KubernetesObjectApi;

  constructor(config: KubeConfig, namespace: string) {
    this.#config = config;
    this.namespace = namespace;
    this.#objects = KubernetesObjectApi.makeApiClient(config);
  }

  /**
   * The cluster of KUBECONFIG, of ~/.kube/config, or that this pod runs in.
   *
   * @throws FailedPrecondition if there is none of them
   */
  static connect(namespace?: string): Cluster {
    const config = new KubeConfig();
    config.loadFromDefault();
    const context = config.getContextObject(config.getCurrentContext());
    // Without any of the three the client would go for localhost:8080.
    if (!config.getCurrentCluster() || context?.name === "loaded-context")
      throw new RetortError("FailedPrecondition", "no cluster is known: run the controller in a pod, or set KUBECONFIG");
    return new Cluster(config, namespace ?? context?.namespace ?? "default");
  }

  /** Creates an object, or gives the one that is there under its name. */
  async create<T extends KubernetesObject>(object: T): Promise<T> {
    const { apiVersion, kind, metadata } = object;
    try {
      return await this.#objects.create(object, undefined, undefined, manager);
    } catch (error) {
      if (statusOf(error) !== 409) throw refused(`create ${kind} ${metadata?.name}`, error);
      const there = await this.read<T>({ apiVersion, kind }, metadata?.name ?? "");
      return there ?? this.create(object);
    }
  }

  /** Brings an object about as described (server-side apply): made if it is not there, changed if it is unlike. */
  async apply<T extends KubernetesObject>(object: T): Promise<T> {
    return this.#objects
      .patch(object, undefined, undefined, manager, true, PatchStrategy.ServerSideApply)
      .catch((error: unknown) => Promise.reject(refused(`apply ${object.kind} ${object.metadata?.name}`, error)));
  }

  /** Changes some fields of an object and leaves the others. Harmless if it is not there. */
  async change({ apiVersion, kind }: Kind, name: string, fields: object): Promise<void> {
    const object: KubernetesObject = { apiVersion, kind, metadata: { name, namespace: this.namespace }, ...fields };
    await this.#objects.patch(object, undefined, undefined, manager, undefined, PatchStrategy.MergePatch).catch((error: unknown) => {
      if (statusOf(error) !== 404) throw refused(`change ${kind} ${name}`, error);
    });
  }

  /** The object of a kind and name; undefined if there is none. */
  async read<T extends KubernetesObject>({ apiVersion, kind }: Partial<Kind>, name: string): Promise<T | undefined> {
    try {
      return await this.#objects.read<T>({ apiVersion, kind, metadata: { name, namespace: this.namespace } });
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw refused(`read ${kind} ${name}`, error);
    }
  }

  /** The objects of a kind that a label selector selects. */
  async list<T extends KubernetesObject>({ apiVersion, kind }: Kind, selector: string): Promise<T[]> {
    const all = [undefined, undefined, undefined, undefined] as const;
    const { items } = await this.#objects
      .list<T>(apiVersion, kind, this.namespace, ...all, selector)
      .catch((error: unknown) => Promise.reject(refused(`list ${kind}`, error)));
    return items;
  }

  /** Deletes an object and, in the background, what it owns. Harmless if it is not there. */
  async delete({ apiVersion, kind }: Kind, name: string): Promise<void> {
    const defaults = [undefined, undefined, undefined, undefined] as const;
    await this.#objects
      .delete({ apiVersion, kind, metadata: { name, namespace: this.namespace } }, ...defaults, "Background")
      .catch((error: unknown) => {
        if (statusOf(error) !== 404) throw refused(`delete ${kind} ${name}`, error);
      });
  }

  /** True if the cluster knows a kind: one of an extension that may not be installed. */
  async knows({ apiVersion, kind }: Kind): Promise<boolean> {
    const [group = "", version = ""] = apiVersion.split("/");
    try {
      const { resources } = await this.#config.makeApiClient(CustomObjectsApi).getAPIResources({ group, version });
      return resources.some((resource) => resource.kind === kind);
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw refused(`look for ${kind}`, error);
    }
  }

  /** Calls back with every selected object, and again whenever it changes, until what is returned is called. */
  watch<T extends KubernetesObject>(kind: Kind, selector: string, changed: (object: T) => void, log: Log): () => Promise<void> {
    const { apiVersion, resource } = kind;
    const group = apiVersion.includes("/") ? `apis/${apiVersion}` : `api/${apiVersion}`;
    const path = `/${group}/namespaces/${this.namespace}/${resource}`;
    const list = async () => ({ apiVersion, kind: `${kind.kind}List`, metadata: {}, items: await this.list<T>(kind, selector) });
    const informer = makeInformer<T>(this.#config, path, list, selector);
    let timer: NodeJS.Timeout | undefined;
    let stopped = false;
    informer.on("add", changed);
    informer.on("update", changed);
    const again = (error: unknown) => {
      if (stopped) return;
      log.warn({ err: error, resource }, "a watch of the cluster broke; taking it up again");
      clearTimeout(timer);
      timer = setTimeout(start, rewatchMs);
    };
    const start = () => void informer.start().catch(again);
    informer.on("error", again);
    start();
    return async () => {
      stopped = true;
      clearTimeout(timer);
      await informer.stop();
    };
  }
}

const statusOf = (error: unknown): number | undefined => (error instanceof ApiException ? error.code : undefined);

const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  400: "InvalidArgument",
  401: "Unauthenticated",
  403: "PermissionDenied",
  404: "NotFound",
  409: "Aborted",
  422: "InvalidArgument",
};

/** The API server's refusal as an error of ours; one without a status is about the way there. */
function refused(what: string, error: unknown): RetortError {
  const status = statusOf(error);
  if (status === undefined) {
    const { message } = RetortError.from(error);
    return new RetortError("Unavailable", `cannot ${what}: the cluster cannot be reached: ${message}`, { cause: error });
  }
  const code = codeOfStatus[status] ?? "Unavailable";
  return new RetortError(code, `the cluster refused to ${what} (${status}): ${reasonOf(error as ApiException<unknown>)}`, { cause: error });
}

function reasonOf({ body, message }: ApiException<unknown>): string {
  try {
    const status = (typeof body === "string" ? JSON.parse(body) : body) as { message?: string };
    return status.message ?? message;
  } catch {
    return message;
  }
}
