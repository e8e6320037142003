import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { checkRoom } from "../../shared/base/check-room.js";
import { RetortError } from "../../shared/base/errors.js";
import { linkOrCopy } from "../../shared/base/link-or-copy.js";
import { makeDirectory } from "../../shared/base/make-directory.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import { parseUploadReference, uploadReference } from "../../shared/flow/runs/upload-reference.js";
import { IncomingFile } from "./incoming.js";
import { checkedListing, type ListedFile, listedFile, listingDigest } from "./listing.js";

/** What is still to be sent. */
export interface Prepared {
  readonly reference: string;
  readonly missing: readonly { readonly digest: string; readonly offset: number }[];
}

const manifestSchema = z.object({ created: z.string(), files: z.array(listedFile) });

/** An upload that is whole. */
export interface StoredUpload extends z.infer<typeof manifestSchema> {
  readonly digest: string;
}

/** What stays free on the disk. */
const spareBytes = 2 ** 30;
/** A file that nobody goes on with for so long is given up. */
const abandonedMs = 7 * 24 * 3_600_000;
/** Room is kept for a file that somebody goes on with; one that nobody has sent anything of for so long is taken up when it is asked for again. */
const activeMs = 600_000;
const wayOut = "make room there, or remove uploads (retort uploads --remove REFERENCE)";
/** Files that may be on their way at once. */
const mostIncoming = 200_000;

/**
 * What callers have uploaded, for specs to name. `blobs/` has each file once, under its SHA-256; `parts/` those that aren't whole;
 * `trees/DIGEST/` the files of an upload under their paths, which share the blobs' bytes where the file system has hard links, and
 * `trees/DIGEST.json`, written last, what they are. One controller writes it; the roles read the trees.
 */
export class UploadStore {
  readonly #root: string;
  readonly #maxBytes: number;
  readonly #incoming = new Map<string, IncomingFile>();

  /** @param root absolute @param maxBytes that all uploads may take; 0 refuses them */
  constructor(root: string, maxBytes: number) {
    this.#root = root;
    this.#maxBytes = maxBytes;
  }

  /**
   * Takes down what is to come, and puts it together when nothing is missing.
   *
   * @throws InvalidArgument for paths that can't be kept; ResourceExhausted beyond what uploads may take; FailedPrecondition without room
   */
  async prepare(given: readonly ListedFile[]): Promise<Prepared> {
    const files = checkedListing(given);
    const digest = listingDigest(files);
    const reference = uploadReference(digest);
    if (await this.#stored(digest)) return { reference, missing: [] };
    for (const folder of ["blobs", "parts", "trees"]) await makeDirectory(join(this.#root, folder));
    const there = new Set(await readdir(join(this.#root, "blobs")));
    const lacking = [...new Map(files.map((file) => [file.digest, file])).values()].filter((file) => !there.has(file.digest));
    if (lacking.length === 0) {
      await this.#assemble(digest, files);
      return { reference, missing: [] };
    }
    await this.#sweep();
    await this.#checkRoom(lacking);
    if (this.#incoming.size + lacking.length > mostIncoming)
      throw new RetortError("ResourceExhausted", `${this.#incoming.size} files are being uploaded already; try again later`);
    const missing: { digest: string; offset: number }[] = [];
    for (const file of lacking) {
      const incoming = this.#incoming.get(file.digest) ?? new IncomingFile(this.#part(file.digest), file.digest, file.size);
      if (incoming.size !== file.size)
        throw new RetortError(
          "InvalidArgument",
          `${file.path} has ${file.size} bytes, and another upload says ${incoming.size} of the same digest`,
        );
      this.#incoming.set(file.digest, incoming);
      missing.push({ digest: file.digest, offset: await incoming.offset() });
    }
    return { reference, missing };
  }

  /**
   * Takes a piece of a file.
   *
   * @returns the first byte that isn't there
   * @throws NotFound if no upload was prepared with the file, or the controller has started anew; as of {@link IncomingFile}
   */
  async chunk(digest: string, offset: number, data: Uint8Array): Promise<number> {
    const incoming = this.#incoming.get(digest);
    if (!incoming) {
      const whole = await sizeOf(this.#blob(digest));
      if (whole !== undefined) return whole;
      throw new RetortError("NotFound", `no upload is prepared with the file ${digest}; call PrepareUpload first`);
    }
    return incoming.write(offset, data, async (path) => {
      await rename(path, this.#blob(digest));
      this.#incoming.delete(digest);
    });
  }

  /** Where an upload, or a file of it, lies. @throws InvalidArgument or NotFound naming the reference */
  async find(reference: string): Promise<string> {
    const { digest, path } = parseUploadReference(reference);
    const stored = await this.#stored(digest);
    if (!stored)
      throw new RetortError("NotFound", `is ${reference}, and nothing of that digest was uploaded here; \`retort uploads\` lists what was`);
    const isThere = path === "" || stored.files.some((file) => file.path === path || file.path.startsWith(`${path}/`));
    if (!isThere) throw new RetortError("NotFound", `is ${reference}, and that upload has no ${path}; it has ${someOf(stored.files)}`);
    return join(this.#tree(digest), path);
  }

  /** The uploads that are whole, newest first. */
  async list(): Promise<StoredUpload[]> {
    const names = await readdir(join(this.#root, "trees")).catch(() => []);
    const digests = names.filter((name) => /^[0-9a-f]{64}\.json$/.test(name)).map((name) => name.slice(0, 64));
    const stored = await Promise.all(digests.map((digest) => this.#stored(digest)));
    return stored.flatMap((one) => one ?? []).sort((a, b) => (a.created < b.created ? 1 : -1));
  }

  /** Bytes that uploads take and may take. */
  async usage(): Promise<{ readonly bytes: number; readonly maxBytes: number }> {
    const sizes = await Promise.all(["blobs", "parts"].map((folder) => bytesIn(join(this.#root, folder))));
    return { bytes: sizes.reduce((sum, size) => sum + size, 0), maxBytes: this.#maxBytes };
  }

  /** The directory of an upload's files. @throws InvalidArgument for what is no reference to a whole upload */
  treeOf(reference: string): string {
    const { digest, path } = parseUploadReference(reference);
    if (path) throw new RetortError("InvalidArgument", `${reference} is a file of an upload; name all of it: ${uploadReference(digest)}`);
    return this.#tree(digest);
  }

  /** Removes an upload. Returns how many bytes no other one has. @throws NotFound if there is none of this reference */
  async remove(reference: string): Promise<number> {
    const tree = this.treeOf(reference);
    const stored = await this.#stored(parseUploadReference(reference).digest);
    if (!stored) throw new RetortError("NotFound", `there is no upload ${reference}`);
    await rm(`${tree}.json`, { force: true });
    await rm(tree, { recursive: true, force: true });
    const used = new Set((await this.list()).flatMap(({ files }) => files.map(({ digest }) => digest)));
    const free = new Map(stored.files.filter(({ digest }) => !used.has(digest)).map(({ digest, size }) => [digest, size]));
    for (const digest of free.keys()) await rm(this.#blob(digest), { force: true });
    return [...free.values()].reduce((sum, size) => sum + size, 0);
  }

  /** Gives the files of an upload their paths; the manifest comes last. */
  async #assemble(digest: string, files: readonly ListedFile[]): Promise<void> {
    const tree = this.#tree(digest);
    await rm(tree, { recursive: true, force: true });
    for (const file of files) {
      const path = join(tree, file.path);
      await makeDirectory(dirname(path));
      await linkOrCopy(this.#blob(file.digest), path);
    }
    const manifest = { created: new Date().toISOString(), files };
    await writeAtomically(`${tree}.json`, Buffer.from(JSON.stringify(manifest)));
  }

  async #stored(digest: string): Promise<StoredUpload | undefined> {
    const text = await readFile(`${this.#tree(digest)}.json`, "utf8").catch(() => undefined);
    return text === undefined ? undefined : { ...manifestSchema.parse(JSON.parse(text)), digest };
  }

  async #checkRoom(lacking: readonly ListedFile[]): Promise<void> {
    for (const [digest, file] of this.#incoming) if (Date.now() - file.activeMs > activeMs) this.#incoming.delete(digest);
    const own = new Set(lacking.map(({ digest }) => digest));
    const others = [...this.#incoming.values()].filter(({ digest }) => !own.has(digest));
    const coming = [...lacking, ...others].reduce((sum, { size }) => sum + size, 0);
    const isComing = (name: string) => own.has(name) || this.#incoming.has(name);
    const used = (await bytesIn(join(this.#root, "blobs"))) + (await bytesIn(join(this.#root, "parts"), (name) => !isComing(name)));
    if (used + coming > this.#maxBytes)
      throw new RetortError(
        "ResourceExhausted",
        `the upload needs ${bytesInWords(coming)}, and of the ${bytesInWords(this.#maxBytes)} that uploads may take (--max-upload-bytes) ${bytesInWords(Math.max(0, this.#maxBytes - used))} are left; ${wayOut}`,
        { retry: "never" },
      );
    const begun = await bytesIn(join(this.#root, "parts"), isComing);
    await checkRoom(this.#root, Math.max(0, coming - begun), { what: "the upload", spareBytes, wayOut });
  }

  /** Gives up what nobody goes on with. */
  async #sweep(): Promise<void> {
    for (const name of await readdir(join(this.#root, "parts"))) {
      const path = join(this.#root, "parts", name);
      const age = await stat(path).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      if (age < abandonedMs) continue;
      this.#incoming.delete(name);
      await rm(path, { force: true });
    }
  }

  readonly #blob = (digest: string): string => join(this.#root, "blobs", digest);
  readonly #part = (digest: string): string => join(this.#root, "parts", digest);
  readonly #tree = (digest: string): string => join(this.#root, "trees", digest);
}

const someOf = (files: readonly ListedFile[]): string =>
  files
    .slice(0, 8)
    .map(({ path }) => path)
    .join(", ")
    .concat(files.length > 8 ? ` and ${files.length - 8} more` : "");

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );

/** Bytes of the files in a directory that count; none where there is no such directory. */
async function bytesIn(directory: string, counts: (name: string) => boolean = () => true): Promise<number> {
  const names = (await readdir(directory).catch(() => [])).filter(counts);
  const sizes = await Promise.all(names.map((name) => sizeOf(join(directory, name))));
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
}
