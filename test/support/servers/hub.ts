import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A file of a repository: large ones have a SHA-256, as LFS has it. */
export interface HubContent {
  readonly bytes: Buffer;
  readonly large?: boolean;
}

/** What goes wrong with the next answers for a file's bytes. */
export type Fault = { readonly cutAt: number } | { readonly status: number } | { readonly bytes: Buffer };

/** A hub of one repository, which speaks what Hugging Face's speaks: info, tree in pages, and resolve with ranges. */
export class TestHub {
  readonly commit = "0123456789abcdef0123456789abcdef01234567";
  /** Requests for bytes: path and range. */
  readonly fetched: string[] = [];
  readonly faults = new Map<string, Fault[]>();
  token: string | undefined;
  readonly #server: Server;
  readonly #files: ReadonlyMap<string, HubContent>;
  readonly #kind: string;
  readonly #name: string;

  private constructor(kind: string, name: string, files: ReadonlyMap<string, HubContent>) {
    this.#kind = kind;
    this.#name = name;
    this.#files = files;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(name: string, files: ReadonlyMap<string, HubContent>, kind = "models"): Promise<TestHub> {
    const hub = new TestHub(kind, name, files);
    await new Promise<void>((resolve) => hub.#server.listen(0, "127.0.0.1", resolve));
    return hub;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer({ url = "", headers }: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(url, "http://hub");
    const json = (status: number, value: unknown, more = {}) =>
      response.writeHead(status, { "content-type": "application/json", ...more }).end(JSON.stringify(value));
    if (this.token && headers.authorization !== `Bearer ${this.token}`) return void json(401, { error: "Invalid username or password." });
    const api = `/api/${this.#kind}/${this.#name}`;
    const at = `${this.#kind === "models" ? "" : `/${this.#kind}`}/${this.#name}/resolve/${this.commit}/`;
    if (pathname === `${api}/revision/main` || pathname === `${api}/revision/${this.commit}`)
      return void json(200, {
        _id: "1",
        id: this.#name,
        sha: this.commit,
        private: false,
        gated: false,
        lastModified: "2026-01-01T00:00:00Z",
      });
    const own = `http://${headers.host}${api}`;
    if (pathname === `${api}/tree/${this.commit}`) return void this.#list(Number(searchParams.get("cursor") ?? 0), own, json);
    if (pathname.startsWith(at)) return void this.#send(decodeURIComponent(pathname.slice(at.length)), headers.range, response);
    json(404, { error: "Repository not found" });
  }

  /** Pages of three entries. */
  #list(from: number, api: string, json: (status: number, value: unknown, more?: object) => void): void {
    const entries = [...this.#files].map(([path, { bytes, large }]) => ({
      type: "file",
      path,
      size: bytes.length,
      oid: createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex"),
      ...(large ? { lfs: { oid: createHash("sha256").update(bytes).digest("hex"), size: bytes.length, pointerSize: 130 } } : {}),
    }));
    const next = from + 3;
    const link = `<${api}/tree/${this.commit}?recursive=true&cursor=${next}>; rel="next"`;
    json(200, entries.slice(from, next), next < entries.length ? { link } : {});
  }

  #send(path: string, range: string | undefined, response: ServerResponse): void {
    const file = this.#files.get(path);
    if (!file) return void response.writeHead(404).end();
    this.fetched.push(range ? `${path} ${range}` : path);
    const fault = this.faults.get(path)?.shift();
    if (fault && "status" in fault) return void response.writeHead(fault.status).end();
    const whole = fault && "bytes" in fault ? fault.bytes : file.bytes;
    const begin = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const bytes = whole.subarray(begin);
    response.writeHead(range ? 206 : 200, { "content-length": bytes.length });
    if (!fault || !("cutAt" in fault)) return void response.end(bytes);
    response.write(bytes.subarray(0, fault.cutAt), () => response.destroy());
  }
}
