import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { KubeConfig, type KubernetesObject } from "@kubernetes/client-node";
import { kinds } from "../../../services/controller/kubernetes/cluster.js";

/** An API server that keeps objects and writes down which rights each request would have needed: `get batch/jobs`. */
export class RecordingApiServer {
  readonly needed = new Set<string>();
  readonly config = new KubeConfig();
  readonly #objects = new Map<string, KubernetesObject>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async start(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    const { port } = this.#server.address() as AddressInfo;
    this.config.loadFromClusterAndUser({ name: "c", server: `http://127.0.0.1:${port}`, skipTLSVerify: true }, { name: "u" });
  }

  /** Puts an object there that the chart has made. */
  put(path: string, object: KubernetesObject): void {
    this.#objects.set(path, object);
  }

  /** Takes an object away. */
  drop(path: string): void {
    this.#objects.delete(path);
  }

  async stop(): Promise<void> {
    const closed = new Promise((done) => this.#server.close(done));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, "http://api");
    const found = /^\/apis?\/(?:([a-z.]+)\/)?(v[0-9a-z]+)(?:\/namespaces\/[^/]+\/([a-z]+)(?:\/([^/]+))?)?$/.exec(pathname);
    const [, group = "", version, resource, name] = found ?? [];
    const send = (status: number, body: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    // Everybody who is logged in may ask what kinds there are.
    if (resource === undefined) return void send(200, resourcesOf(group === "" ? version! : `${group}/${version}`));
    const need = (verb: string) => this.needed.add(`${verb} ${group === "" ? "" : `${group}/`}${resource}`);
    const watching = searchParams.get("watch") === "1" || searchParams.get("watch") === "true";
    switch (request.method) {
      case "GET":
        need(name ? "get" : watching ? "watch" : "list");
        if (watching) return void response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
        if (name) return void send(...this.#read(pathname));
        return void send(200, {
          metadata: { resourceVersion: "1" },
          items: this.#below(pathname, searchParams.get("labelSelector") ?? ""),
        });
      case "POST":
      case "PATCH": {
        const object = (await json(request)) as KubernetesObject;
        const path = name ? pathname : `${pathname}/${object.metadata!.name}`;
        if (name) need("patch");
        // An apply that finds nothing creates, and needs the right to.
        if (!this.#objects.has(path)) need("create");
        const there = this.#objects.get(path);
        this.#objects.set(path, { ...there, ...object, metadata: { ...there?.metadata, ...object.metadata, uid: path } });
        return void send(200, this.#objects.get(path));
      }
      case "DELETE":
        need("delete");
        this.#objects.delete(pathname);
        return void send(200, { kind: "Status", status: "Success" });
    }
  }

  #read(path: string): [number, unknown] {
    const object = this.#objects.get(path);
    return object ? [200, object] : [404, { kind: "Status", code: 404, message: `${path} not found` }];
  }

  #below(path: string, selector: string): KubernetesObject[] {
    const wanted = selector.split(",").filter(Boolean);
    const isChosen = ({ metadata }: KubernetesObject) =>
      wanted.every((one) => {
        const [label = "", value] = one.split("=");
        const own = metadata?.labels?.[label];
        return value === undefined ? own !== undefined : own === value;
      });
    return [...this.#objects].filter(([key, object]) => key.startsWith(`${path}/`) && isChosen(object)).map(([, object]) => object);
  }
}

/** The kinds of a group and version, as discovery tells them. */
const resourcesOf = (groupVersion: string) => ({
  kind: "APIResourceList",
  groupVersion,
  resources: Object.values(kinds)
    .filter(({ apiVersion }) => apiVersion === groupVersion)
    .map(({ kind, resource }) => ({ name: resource, kind, namespaced: true, singularName: "", verbs: [] })),
});
