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

/** Files of a repository, and the commits that its branches and tags are. */
interface Repository {
  readonly files: ReadonlyMap<string, HubContent>;
  readonly commits: Readonly<Record<string, string>>;
}

/** A hub, with one repository at first, which speaks what Hugging Face's speaks: info, tree in pages, and resolve with ranges. */
export class TestHub {
  readonly commit = "0123456789abcdef0123456789abcdef01234567";
  /** Requests for bytes: path and range. */
  readonly fetched: string[] = [];
  readonly faults = new Map<string, Fault[]>();
  token: string | undefined;
  readonly #server: Server;
  readonly #kind: string;
  readonly #repositories = new Map<string, Repository>();

  private constructor(kind: string, name: string, files: ReadonlyMap<string, HubContent>) {
    this.#kind = kind;
    this.#repositories.set(name, { files, commits: { main: this.commit } });
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(name: string, files: ReadonlyMap<string, HubContent>, kind = "models"): Promise<TestHub> {
    const hub = new TestHub(kind, name, files);
    await new Promise<void>((resolve) => hub.#server.listen(0, "127.0.0.1", resolve));
    return hub;
  }

  /** Adds a repository, or changes one. @param commits of its branches and tags; every commit has the same files */
  put(name: string, files: ReadonlyMap<string, HubContent>, commits: Readonly<Record<string, string>> = { main: this.commit }): void {
    this.#repositories.set(name, { files, commits });
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
    const kind = `${this.#kind === "models" ? "" : `/${this.#kind}`}`;
    for (const [id, { files, commits }] of this.#repositories) {
      const api = `/api/${this.#kind}/${id}`;
      const known = Object.values(commits);
      const sha = commits[pathname.slice(`${api}/revision/`.length)] ?? known.find((commit) => pathname === `${api}/revision/${commit}`);
      const about = { _id: "1", id, sha, private: false, gated: false, lastModified: "2026-01-01T00:00:00Z" };
      if (pathname.startsWith(`${api}/revision/`) && sha) return void json(200, about);
      for (const commit of known) {
        const tree = `${api}/tree/${commit}`;
        const at = `${kind}/${id}/resolve/${commit}/`;
        if (pathname === tree) return void list(files, Number(searchParams.get("cursor") ?? 0), `http://${headers.host}${tree}`, json);
        if (pathname.startsWith(at)) return void this.#send(files, decodeURIComponent(pathname.slice(at.length)), headers.range, response);
      }
    }
    json(404, { error: "Repository not found" });
  }

  #send(files: Repository["files"], path: string, range: string | undefined, response: ServerResponse): void {
    const file = files.get(path);
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

/** Pages of three entries. */
function list(files: Repository["files"], from: number, tree: string, json: (status: number, value: unknown, more?: object) => void): void {
  const entries = [...files].map(([path, { bytes, large }]) => ({
    type: "file",
    path,
    size: bytes.length,
    oid: createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex"),
    ...(large ? { lfs: { oid: createHash("sha256").update(bytes).digest("hex"), size: bytes.length, pointerSize: 130 } } : {}),
  }));
  const next = from + 3;
  const link = `<${tree}?recursive=true&cursor=${next}>; rel="next"`;
  json(200, entries.slice(from, next), next < entries.length ? { link } : {});
}
