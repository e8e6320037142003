import { mkdir, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import pLimit from "p-limit";
import { bytesInWords } from "../bytes-in-words.js";
import { checkRoom } from "../check-room.js";
import { RetortError } from "../errors.js";
import { download, fetchHead, type RemoteFile } from "./download.js";

/** A file of a snapshot. */
export interface SnapshotFile {
  /** `/` separates folders. */
  readonly path: string;
  readonly size: number;
  /** Name of its bytes in the cache: other bytes have another one. */
  readonly blob: string;
}

/** Told as bytes come: how many of how many. */
export type OnProgress = (done: number, total: number) => void;

/** How much of a snapshot is fetched, and who hears of it. */
export interface FillOptions {
  readonly onProgress?: OnProgress | undefined;
  /**
   * True where a model is only looked at: of safetensors files the heads are fetched, and a hole stands for the rest. A snapshot that is fetched
   * whole later gets the bytes.
   */
  readonly headsOnly?: boolean | undefined;
  /** Most bytes to be fetched. */
  readonly mostBytes?: number | undefined;
}

/** Files that come at once. */
const together = 4;
/** What stays free on the disk. */
const spareBytes = 2 ** 28;

/**
 * What was fetched of one place, laid out as the cache of Hugging Face's libraries is: `blobs/` has the files' bytes, a folder in
 * `snapshots/` links to those of one state of the place, and `refs/` says in which state something was seen last.
 */
export class SnapshotCache {
  readonly #folder: string;
  readonly #elsewhere: string;

  /** @param elsewhere how to have the cache on another disk: "set HF_HOME to another disk" */
  constructor(folder: string, elsewhere: string) {
    this.#folder = folder;
    this.#elsewhere = elsewhere;
  }

  /**
   * Fetches what is missing, and links a snapshot's files to their bytes. What the cache has is not fetched again.
   *
   * @param open makes a file ready to be read; called anew for each try
   * @returns the snapshot's folder
   * @throws DataLoss for a path that leads out of the folder, FailedPrecondition if the disk has no room, ResourceExhausted beyond
   *   {@link FillOptions.mostBytes}; as `download`
   */
  async fill<F extends SnapshotFile>(
    id: string,
    files: readonly F[],
    open: (file: F) => Promise<RemoteFile>,
    { onProgress = () => {}, headsOnly = false, mostBytes = Number.POSITIVE_INFINITY }: FillOptions = {},
  ): Promise<string> {
    for (const { path } of files) checkPath(path);
    const blobs = join(this.#folder, "blobs");
    const snapshot = join(this.#folder, "snapshots", id);
    await mkdir(blobs, { recursive: true });
    const there = new Set(await readdir(blobs));
    const isHead = ({ path, blob }: F) => headsOnly && path.endsWith(".safetensors") && !there.has(blob);
    const blobOf = (file: F) => (isHead(file) ? `${file.blob}.head` : file.blob);
    const missing = [...new Map(files.map((file) => [blobOf(file), file])).entries()].filter(([blob]) => !there.has(blob));
    const total = missing.reduce((sum, [, file]) => sum + (isHead(file) ? 0 : file.size), 0);
    if (total > mostBytes)
      throw new RetortError(
        "ResourceExhausted",
        `what is to be fetched takes ${bytesInWords(total)}, and --max-fetch-bytes allows ${bytesInWords(mostBytes)}: raise it, or name a part of it`,
        {
          retry: "never",
        },
      );
    if (total > 0) await checkRoom(blobs, total, { what: "what is to be fetched", spareBytes, wayOut: `make room, or ${this.#elsewhere}` });
    let done = 0;
    const onBytes = (bytes: number) => {
      done += bytes;
      onProgress(done, total);
    };
    const limited = pLimit(together);
    const fetch = (blob: string, file: F) =>
      isHead(file)
        ? download(
            { path: file.path, size: 0 },
            () => open(file),
            join(blobs, blob),
            () => {},
            fetchHead,
          )
        : download(file, () => open(file), join(blobs, blob), onBytes);
    await Promise.all(missing.map(([blob, file]) => limited(() => fetch(blob, file))));
    for (const file of files) await link(join(blobs, blobOf(file)), join(snapshot, file.path));
    return snapshot;
  }

  /** Notes which snapshot something is now. @param name a path below `refs/` */
  async note(name: string, id: string): Promise<void> {
    const path = join(this.#folder, "refs", name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, id);
  }

  /** Where something lies in the snapshot that it was last known to be, or that is named; undefined if the cache doesn't have it. */
  async lastKnown(name: string, path: string): Promise<string | undefined> {
    const id = (await readFile(join(this.#folder, "refs", name), "utf8").catch(() => name)).trim();
    const place = join(this.#folder, "snapshots", id, path);
    return stat(place).then(
      () => place,
      () => undefined,
    );
  }
}

/** @throws DataLoss for a path that can't be kept */
function checkPath(path: string): void {
  if (path.includes("\0") || path.split("/").some((part) => part === ".." || part === "." || part === ""))
    throw new RetortError("DataLoss", `there is a file "${path}", whose name can't be kept`);
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
