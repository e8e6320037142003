import { mkdir, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { datasetInfo, getHFHubCachePath, HUB_URL, HubApiError, listFiles, modelInfo } from "@huggingface/hub";
import pLimit from "p-limit";
import { RetortError } from "../errors.js";
import { freeBytes } from "../free-bytes.js";
import { download, type HubFile } from "./download.js";
import { type HubReference, parseHubReference } from "./reference.js";

/** What of a repository is fetched, and who hears of it. */
export interface SnapshotOptions {
  /** Whether a file is wanted, by its path in the repository. */
  readonly wanted: (path: string) => boolean;
  /** Told as bytes come: how many of how many. */
  readonly onProgress?: (done: number, total: number) => void;
  /** HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE. Default: the process's. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Files that come at once. */
const together = 4;
/** What stays free on the disk. */
const spareBytes = 2 ** 28;

/**
 * Fetches what a reference names into the cache that Hugging Face's own libraries use, and returns its path there. What the cache has
 * is not fetched again: a file lies under the digest of its bytes, and a snapshot of a commit links to it. Where the hub can't be reached,
 * or HF_HUB_OFFLINE is set, the commit that the revision was last known to be is taken.
 *
 * @throws InvalidArgument for a malformed reference; NotFound or PermissionDenied if the hub refuses it, ResourceExhausted if the disk has
 *   no room, Unavailable if it can't be reached and nothing is cached
 */
export async function fetchSnapshot(text: string, options: SnapshotOptions): Promise<string> {
  const { env = process.env } = options;
  const reference = parseHubReference(text);
  const hub = await hubOf(env);
  const folder = join(hub.cache, `${reference.type}s--${reference.name.replace("/", "--")}`);
  try {
    if (hub.offline) throw new RetortError("Unavailable", "HF_HUB_OFFLINE is set");
    return await fetched(text, reference, folder, hub, options);
  } catch (thrown) {
    const error = toRetortError(thrown, text, hub.url);
    const cached = error.code === "Unavailable" ? await lastKnown(folder, reference) : undefined;
    if (!cached) throw error;
    return cached;
  }
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
  return {
    url: (env.HF_ENDPOINT || HUB_URL).replace(/\/$/, ""),
    token: (env.HF_TOKEN || saved).trim() || undefined,
    cache: env === process.env ? getHFHubCachePath() : env.HF_HUB_CACHE || join(home, "hub"),
    offline: /^(1|true|yes|on)$/i.test(env.HF_HUB_OFFLINE ?? ""),
  };
}

async function fetched(text: string, reference: HubReference, folder: string, hub: Hub, options: SnapshotOptions): Promise<string> {
  const { revision, path } = reference;
  const { commit, files } = await listed(reference, hub, options.wanted);
  if (files.length === 0) throw new RetortError("NotFound", `${text} has no files that can be used${path ? ` at ${path}` : ""}`);
  const blobs = join(folder, "blobs");
  const snapshot = join(folder, "snapshots", commit);
  await mkdir(blobs, { recursive: true });
  const missing = await missingOf(files, blobs);
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  await checkRoom(blobs, total);
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    options.onProgress?.(done, total);
  };
  const limited = pLimit(together);
  const get = (file: HubFile) =>
    download(file, { url: urlOf(reference, hub, commit, file.path), token: hub.token }, join(blobs, file.digest), onBytes);
  await Promise.all(missing.map((file) => limited(get, file)));
  for (const { path: name, digest } of files) await link(join(blobs, digest), join(snapshot, name));
  if (revision !== commit) await write(join(folder, "refs", revision), commit);
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

/** @throws DataLoss for a file without a digest, or with a path that leads elsewhere */
function fileOf({ path, size, oid, lfs }: { path: string; size: number; oid?: string; lfs?: { oid: string; size: number } }): HubFile {
  const digest = lfs?.oid ?? oid ?? "";
  if (!/^[0-9a-f]{40,64}$/.test(digest) || path.startsWith("/") || path.split("/").some((part) => part === ".." || part === ""))
    throw new RetortError("DataLoss", `the hub lists a file "${path}" with the digest "${digest}", which can't be kept`);
  return { path, size: lfs?.size ?? size, digest, algorithm: lfs ? "sha256" : "git" };
}

/** Files whose bytes the cache doesn't have, each digest once. */
async function missingOf(files: readonly HubFile[], blobs: string): Promise<HubFile[]> {
  const there = new Set(await readdir(blobs));
  return [...new Map(files.map((file) => [file.digest, file])).values()].filter(({ digest }) => !there.has(digest));
}

async function checkRoom(directory: string, needed: number): Promise<void> {
  const free = await freeBytes(directory);
  if (needed === 0 || free === undefined || needed + spareBytes <= free) return;
  const [mb, freeMb] = [needed, free].map((bytes) => Math.ceil(bytes / 1e6));
  throw new RetortError(
    "ResourceExhausted",
    `${mb} MB are to be fetched to ${directory}, which has ${freeMb} MB free; make room, or set HF_HOME to another disk`,
  );
}

/** Makes the link of a snapshot's file to its bytes, unless it is there. */
async function link(blob: string, path: string): Promise<void> {
  const target = relative(dirname(path), blob);
  if ((await readlink(path).catch(() => undefined)) === target) return;
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await symlink(target, path).catch((error: NodeJS.ErrnoException) => {
    // Another process was as quick.
    if (error.code !== "EEXIST") throw error;
  });
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

/** What the cache has of a revision. */
async function lastKnown(folder: string, { revision, path }: HubReference): Promise<string | undefined> {
  const commit = (await readFile(join(folder, "refs", revision), "utf8").catch(() => revision)).trim();
  const place = join(folder, "snapshots", commit, path);
  return stat(place).then(
    () => place,
    () => undefined,
  );
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
