import { type ChildProcess, spawn } from "node:child_process";
import { type ControllerClient, connectController } from "../../../services/cli/local.js";
import { freePort } from "../../support/tools/free-port.js";
import { command, Kubectl, until } from "./commands.js";
import type { Images } from "./images.js";

const release = "retort";
/** Label of all that the installation makes. */
const mark = "retort-test";
const chart = "deploy/helm/retort";

/** A release of the chart in a namespace of its own, and a gRPC client that reaches its controller through the Service. */
export class Installation {
  readonly kubectl: Kubectl;
  /** Selects every pod of this installation, in all of the cluster. */
  readonly selector: string;
  readonly #values: readonly string[];
  readonly #port: number;
  #forward: ChildProcess | undefined;
  #closed = false;
  readonly controller: ControllerClient;

  private constructor(kubectl: Kubectl, values: readonly string[], port: number) {
    this.kubectl = kubectl;
    this.selector = `${mark}=${kubectl.namespace}`;
    this.#values = values;
    this.#port = port;
    this.controller = connectController(`127.0.0.1:${port}`);
  }

  /** Installs the chart into a new namespace that admits restricted pods only, and waits until it is ready. */
  static async install(namespace: string, images: Images): Promise<Installation> {
    const kubectl = new Kubectl(namespace);
    await kubectl.run("create", "namespace", namespace);
    await kubectl.run("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted");
    const installation = new Installation(kubectl, valuesOf(images), await freePort());
    await installation.#helm("install", "--wait", "--timeout", "5m");
    installation.#keepForwarding();
    return installation;
  }

  /** Upgrades the release with further values alone and waits until the new controller is ready. */
  async upgrade(...values: readonly string[]): Promise<void> {
    await this.#helm("upgrade", "--wait", "--timeout", "5m", ...values.flatMap((value) => ["--set", value]));
  }

  /** The chart's own test: a run of a few steps, started from a pod of the release. */
  async test(): Promise<void> {
    await command("helm", ["-n", this.kubectl.namespace, "test", release, "--timeout", "5m"]);
  }

  /** Uninstalls the release and waits until nothing is left in the namespace but what every namespace has. */
  async uninstall(): Promise<string[]> {
    await this.#stopForwarding();
    await command("helm", ["-n", this.kubectl.namespace, "uninstall", release, "--wait", "--timeout", "5m"]);
    const kinds = (await command("kubectl", ["api-resources", "--namespaced", "--verbs=list", "-o", "name"])).split("\n");
    const listed = kinds.filter((kind) => !/^events(\.|$)|^podmetrics/.test(kind)).join(",");
    const own = (name: string) => !/^(configmap\/kube-root-ca\.crt|serviceaccount\/default)$/.test(name);
    return until(
      "nothing is left of the release",
      async () => (await this.kubectl.names(listed)).filter(own),
      (left) => left.length === 0,
      180_000,
    );
  }

  async remove(): Promise<void> {
    await this.#stopForwarding();
    await command("kubectl", ["delete", "namespace", this.kubectl.namespace, "--wait=true", "--timeout=180s"]);
  }

  #helm(action: "install" | "upgrade", ...options: readonly string[]): Promise<string> {
    const own = `commonLabels.${mark}=${this.kubectl.namespace}`;
    const values = [...this.#values, own].flatMap((value) => ["--set", value]);
    return command("helm", ["-n", this.kubectl.namespace, action, release, chart, ...values, ...options]);
  }

  /** A port-forward ends with the pod that it leads to; the next one leads to the next. */
  #keepForwarding(): void {
    if (this.#closed) return;
    const args = ["-n", this.kubectl.namespace, "port-forward", `service/${release}`, `${this.#port}:7070`];
    this.#forward = spawn("kubectl", args, { stdio: "ignore" });
    this.#forward.once("close", () => setTimeout(() => this.#keepForwarding(), 500));
  }

  async #stopForwarding(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.controller.close();
    this.#forward?.kill();
  }
}

/** Small requests, so that a whole run fits a machine of two cores; images that are there already. */
function valuesOf({ retort, nats }: Images): string[] {
  const [repository, tag] = retort.split(":");
  const [natsRepository, natsTag] = nats.split(":");
  const storageClass = process.env.RETORT_STORAGE_CLASS ?? "";
  return [
    `image.repository=${repository}`,
    `image.tag=${tag}`,
    "image.pullPolicy=Never",
    `nats.image.repository=${natsRepository}`,
    `nats.image.tag=${natsTag}`,
    "nats.image.pullPolicy=Never",
    "nats.storage.size=4Gi",
    // The streams reserve 12 GiB that a short run never fills.
    "nats.storage.maxFileStore=20Gi",
    "data.size=1Gi",
    ...(storageClass ? [`nats.storage.storageClassName=${storageClass}`, `data.storageClassName=${storageClass}`] : []),
    ...["controller", "nats", "roles.learner", "roles.reward", "roles.student", "roles.teacher"].map(
      (part) => `${part}.resources.requests.cpu=20m`,
    ),
    ...["learner", "reward", "student", "teacher"].flatMap((role) => [
      `roles.${role}.resources.requests.memory=200Mi`,
      `roles.${role}.resources.limits.memory=1Gi`,
    ]),
  ];
}
