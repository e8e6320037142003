import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { datasetInfo, HUB_URL, HubApiError, listFiles, modelInfo } from "@huggingface/hub";
import { RetortError } from "../errors.js";
import type { Expected } from "./digest.js";
import { NoRanges, type RemoteFile } from "./download.js";
import { type HubReference, parseHubReference } from "./hub-reference.js";
import { type FillOptions, SnapshotCache, type SnapshotFile } from "./snapshot-cache.js";

/** What of a repository is fetched, and who hears of it. */
export interface SnapshotOptions extends FillOptions {
  /** Whether a file is wanted, by its path in the repository. */
  readonly wanted: (path: string) => boolean;
  /** HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE. Default: the process's. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Fetches what a reference names into the cache that Hugging Face's own libraries use, and returns its path there. What the cache has
 * is not fetched again: a file lies under the digest of its bytes, and a snapshot of a commit links to it. Where the hub can't be reached,
 * or HF_HUB_OFFLINE is set, the commit that the revision was last known to be is taken.
 *
 * @throws InvalidArgument for a malformed reference; NotFound or PermissionDenied if the hub refuses it, FailedPrecondition if the disk
 *   has no room, Unavailable if it can't be reached and nothing is cached
 */
export async function fetchSnapshot(text: string, options: SnapshotOptions): Promise<string> {
  const { env = process.env } = options;
  const reference = parseHubReference(text);
  const hub = await hubOf(env);
  const folder = join(hub.cache, `${reference.type}s--${reference.name.replace("/", "--")}`);
  const cache = new SnapshotCache(folder, "set HF_HOME to another disk");
  try {
    if (hub.offline) throw new RetortError("Unavailable", "HF_HUB_OFFLINE is set");
    return await fetched(text, reference, cache, hub, options);
  } catch (thrown) {
    const error = toRetortError(thrown, text, hub.url);
    const cached = error.code === "Unavailable" ? await cache.lastKnown(reference.revision, reference.path) : undefined;
    if (!cached) throw error;
    return cached;
  }
}

/** A reference with the commit that a snapshot of it is, in place of its branch or tag. @param place what {@link fetchSnapshot} has returned */
export function pinnedTo(text: string, place: string): string {
  const { type, name, path } = parseHubReference(text);
  const commit = /\/snapshots\/([^/]+)/.exec(place)?.[1] ?? "";
  return `hf://${type === "dataset" ? "datasets/" : ""}${name}@${commit}${path && `/${path}`}`;
}

interface Hub {
  readonly url: string;
  readonly token: string | undefined;
  readonly cache: string;
  readonly offline: boolean;
}

async function hubOf(env: NodeJS.ProcessEnv): Promise<Hub> {
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(env.HOME ?? homedir(), ".cache"), "huggingface");
  const saved = await readFile(env.HF_TOKEN_PATH || join(home, "token"), "utf8").catch(() => "");
  const token = (env.HF_TOKEN || saved).trim() || undefined;
  if (token && !token.startsWith("hf_"))
    throw new RetortError(
      "InvalidArgument",
      "the hub's token (HF_TOKEN) doesn't begin with hf_, as its tokens do; check what it was set to",
    );
  return {
    url: (env.HF_ENDPOINT || HUB_URL).replace(/\/$/, ""),
    token,
    cache: env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, "hub"),
    offline: /^(1|true|yes|on)$/i.test(env.HF_HUB_OFFLINE ?? ""),
  };
}

async function fetched(text: string, reference: HubReference, cache: SnapshotCache, hub: Hub, options: SnapshotOptions): Promise<string> {
  const { revision, path } = reference;
  const { commit, files } = await listed(reference, hub, options.wanted);
  if (files.length === 0) throw new RetortError("NotFound", `${text} has no files that can be used${path ? ` at ${path}` : ""}`);
  const open = async (file: HubFile): Promise<RemoteFile> => {
    const url = urlOf(reference, hub, commit, file.path);
    return { ...file, place: url, read: (from) => read(file.path, url, hub.token, from) };
  };
  const snapshot = await cache.fill(commit, files, open, options);
  if (revision !== commit) await cache.note(revision, commit);
  return join(snapshot, path);
}

/** The commit that a revision is now, and its files that are asked for. */
async function listed({ type, name, revision, path }: HubReference, hub: Hub, wanted: (path: string) => boolean) {
  const access = { hubUrl: hub.url, ...(hub.token ? { accessToken: hub.token } : {}) };
  const asked = { name, revision, additionalFields: ["sha"] as ["sha"], ...access };
  const { sha: commit } = await (type === "model" ? modelInfo(asked) : datasetInfo(asked));
  const files: HubFile[] = [];
  for await (const entry of listFiles({ repo: { type, name }, recursive: true, revision: commit, ...access })) {
    const isAsked = path === "" || entry.path === path || entry.path.startsWith(`${path}/`);
    if (entry.type === "file" && isAsked && wanted(entry.path)) files.push(fileOf(entry));
  }
  return { commit, files };
}

function urlOf({ type, name }: HubReference, hub: Hub, commit: string, path: string): string {
  const kind = type === "model" ? "" : `${type}s/`;
  return `${hub.url}/${kind}${name}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** A file of a repository: large ones have the SHA-256 of their bytes, small ones the SHA-1 as git hashes a blob. */
interface HubFile extends SnapshotFile {
  readonly expected: Expected;
}

/** @throws DataLoss for a file without a digest */
function fileOf({ path, size, oid, lfs }: { path: string; size: number; oid?: string; lfs?: { oid: string; size: number } }): HubFile {
  const digest = lfs?.oid ?? oid ?? "";
  if (!/^[0-9a-f]{40,64}$/.test(digest))
    throw new RetortError("DataLoss", `the hub lists a file "${path}" with the digest "${digest}", which can't be compared`);
  const expected: Expected = lfs ? { algorithm: "sha256", digest } : { algorithm: "git", digest, size };
  return { path, size: lfs?.size ?? size, blob: digest, expected };
}

async function read(path: string, url: string, token: string | undefined, from: number): Promise<AsyncIterable<Uint8Array>> {
  const headers = { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(from > 0 ? { range: `bytes=${from}-` } : {}) };
  const { ok, status, body } = await fetch(url, { headers });
  if (!ok) {
    if (status === 429 || status >= 500) throw new Error(`status ${status}`);
    const refused = status === 401 || status === 403;
    const wayOut = refused ? "; is it gated? Set HF_TOKEN to a token that may read it" : "";
    throw new RetortError(refused ? "PermissionDenied" : "NotFound", `${path} could not be fetched from ${url}: status ${status}${wayOut}`);
  }
  if (!body) throw new Error("the answer has no body");
  if (from > 0 && status !== 206) {
    await body.cancel();
    throw new NoRanges();
  }
  return Readable.fromWeb(body as ReadableStream);
}

function toRetortError(thrown: unknown, text: string, url: string): RetortError {
  if (thrown instanceof RetortError) {
    const { code, message } = thrown;
    return code === "Unavailable" ? new RetortError(code, `${text}: ${message}, and it isn't in the cache`, { cause: thrown }) : thrown;
  }
  if (thrown instanceof HubApiError) {
    const { statusCode } = thrown;
    const refused = statusCode === 401 || statusCode === 403;
    const said = `${text}: ${url} answers with status ${statusCode}`;
    if (refused)
      return new RetortError(
        "PermissionDenied",
        `${said}; is it private or gated, or is there no such repository? Set HF_TOKEN to a token that may read it`,
      );
    if (statusCode === 404) return new RetortError("NotFound", `${said}: there is no such repository or revision`);
    return new RetortError("Unavailable", said, { cause: thrown });
  }
  const cause = (thrown as Error).cause;
  const reason = cause instanceof Error ? cause.message : (thrown as Error).message;
  return new RetortError("Unavailable", `${text}: ${url} can't be reached (${reason}), and it isn't in the cache`, { cause: thrown });
}
