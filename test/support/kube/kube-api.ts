import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { eventually } from "../servers/nats.js";
import { freePort } from "../tools/free-port.js";

/** How a test of the launcher gets an API server; said on the console when there is none. */
export const howToGetOne =
  "needs etcd and kube-apiserver: set RETORT_KUBE_BIN to a directory with both (or with `kube`, which has the server as a subcommand)";

interface Programs {
  readonly etcd: string;
  readonly apiserver: readonly [program: string, ...args: string[]];
}

/** The programs in RETORT_KUBE_BIN or on the PATH. */
export function findKubeApi(): Programs | undefined {
  const places = [process.env.RETORT_KUBE_BIN ?? "", ...(process.env.PATH ?? "").split(":")].filter((place) => place !== "");
  const find = (name: string) => places.map((place) => join(place, name)).find((path) => existsSync(path));
  const [etcd, server, all] = [find("etcd"), find("kube-apiserver"), find("kube")];
  const apiserver = server ? ([server] as const) : all ? ([all, "kube-apiserver"] as const) : undefined;
  return etcd && apiserver ? { etcd, apiserver } : undefined;
}

/** A token that may do everything, and one that may do what a Role allows it. */
export const tokens = { admin: "admin-token", controller: "controller-token" } as const;

/** A real kube-apiserver over an etcd, without controllers: what they would do, the test does. */
export class KubeApi {
  readonly #directory = mkdtempSync(join(tmpdir(), "retort-kube-"));
  readonly #children: ChildProcess[] = [];
  #port = 0;

  async start({ etcd, apiserver: [server, ...first] }: Programs): Promise<void> {
    const at = (name: string) => join(this.#directory, name);
    const [client, peer, secure] = [await freePort(), await freePort(), await freePort()];
    this.#port = secure;
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    writeFileSync(at("sa.key"), privateKey.export({ type: "pkcs1", format: "pem" }));
    writeFileSync(at("sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
    writeFileSync(at("tokens.csv"), `${tokens.admin},admin,1,system:masters\n${tokens.controller},controller,2,\n`);
    const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
    this.#spawn(etcd, [
      `--data-dir=${at("etcd")}`,
      "--unsafe-no-fsync",
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
    ]);
    this.#spawn(server, [
      ...first,
      `--etcd-servers=${clientUrl}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${secure}`,
      `--cert-dir=${at("certs")}`,
      "--service-cluster-ip-range=10.96.0.0/24",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${at("sa.pub")}`,
      `--service-account-signing-key-file=${at("sa.key")}`,
      `--token-auth-file=${at("tokens.csv")}`,
      "--authorization-mode=RBAC",
      "--endpoint-reconciler-type=none",
      // Nobody makes the default service account here.
      "--disable-admission-plugins=ServiceAccount",
    ]);
    await eventually("the API server is ready", () => this.#isReady(), 90_000);
  }

  /** A client's configuration with a token. */
  config(token: string): KubeConfig {
    const config = new KubeConfig();
    config.loadFromOptions({
      clusters: [{ name: "test", server: `https://127.0.0.1:${this.#port}`, skipTLSVerify: true }],
      users: [{ name: "user", token }],
      contexts: [{ name: "test", cluster: "test", user: "user" }],
      currentContext: "test",
    });
    return config;
  }

  async stop(): Promise<void> {
    const ended = this.#children.map((child) => child.exitCode ?? new Promise((resolve) => child.once("exit", resolve)));
    // Its data is thrown away; asked politely, the server would drain for a minute.
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(ended);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #spawn(program: string, args: readonly string[]): void {
    const child = spawn(program, args, { stdio: "ignore" });
    this.#children.push(child);
  }

  async #isReady(): Promise<boolean> {
    const dead = this.#children.find((child) => child.exitCode !== null);
    if (dead) throw new Error(`${dead.spawnargs.join(" ")} ended with code ${dead.exitCode}`);
    const headers = { authorization: `Bearer ${tokens.admin}` };
    return new Promise((resolve) => {
      get({ host: "127.0.0.1", port: this.#port, path: "/readyz", rejectUnauthorized: false, headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      }).once("error", () => resolve(false));
    });
  }
}
