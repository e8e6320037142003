import { RetortError } from "../../base/errors.js";
import { isDirectory } from "../../base/is-directory.js";
import { isHubReference, parseHubReference } from "../../base/remote/hub-reference.js";
import { isS3Address } from "../../base/remote/s3-address.js";
import type { FillOptions } from "../../base/remote/snapshot-cache.js";
import { baseNamedBy } from "./base-model.js";
import { dataFiles, modelFiles, weightFiles } from "./input-files.js";
import { baseReference, withBase } from "./with-base.js";

/** How much of what a reference names is fetched, and where to. */
export interface FetchOptions extends FillOptions {
  /** Whether only tokenizer and configs of a model are read. */
  readonly withoutWeights?: boolean | undefined;
  /** References of base models, each at the revision that is meant: an adapter of one of them has it. Default: as adapters name them. */
  readonly bases?: readonly string[] | undefined;
  /** Whether an adapter comes without its base model: the caller has one. */
  readonly withoutBase?: boolean | undefined;
  /** Where the caches are, and who is asked: HF_HOME, XDG_CACHE_HOME, HF_TOKEN, AWS_REGION … Default: the process's. */
  readonly env?: NodeJS.ProcessEnv;
}

/** What a reference names, on this machine. */
export interface FetchedReference {
  /** Where it lies. */
  readonly path: string;
  /** The same, unchangeable: a hub's branch or tag is its commit. Of S3 the path alone says what was there. */
  readonly reference: string;
  /** Of an adapter: the base model that came with it. */
  readonly base?: FetchedReference;
}

/** Whether a text names models or data in a place that any process can fetch from: `hf://`, `s3://`. */
export const isFetchable = (named: string): boolean => isHubReference(named) || isS3Address(named);

/**
 * Fetches what an `hf://` or `s3://` reference names, unless the cache has it. Of a model's folder come the files that Retort reads, of data the rows,
 * and a file that is named comes whatever it is. An adapter whose base model is named on a hub or S3 comes with it, in a directory whose config says
 * where that is.
 *
 * @throws as fetchSnapshot and fetchObjects
 */
export async function fetchReference(named: string, options: FetchOptions = {}): Promise<FetchedReference> {
  const own = await withoutBase(named, options);
  const base = options.withoutBase ? undefined : await baseFor(own.path, options);
  if (!base) return own;
  const fetched = await withoutBase(base, options).catch((error: unknown) => {
    const { code, message, retry } = RetortError.from(error);
    throw new RetortError(code, `the base model of the adapter ${named}: ${message}`, { cause: error, retry });
  });
  return { path: await withBase(own.path, fetched.path, options.env), reference: own.reference, base: fetched };
}

const withoutBase = (named: string, options: FetchOptions): Promise<FetchedReference> =>
  isHubReference(named) ? fromHub(named, options) : fromS3(named, options);

/** The reference of the base model that isn't on this machine by the name that an adapter has for it; undefined where none is to be fetched. */
async function baseFor(directory: string, { bases }: FetchOptions): Promise<string | undefined> {
  const named = await baseNamedBy(directory);
  return named === undefined || (await isDirectory(named)) ? undefined : baseReference(directory, named, bases);
}

async function fromHub(named: string, { withoutWeights, ...options }: FetchOptions): Promise<FetchedReference> {
  const { type, path: asked } = parseHubReference(named);
  const wanted = (path: string) => {
    const own = asked ? path.slice(asked.length + 1) : path;
    if (withoutWeights && weightFiles.test(own)) return false;
    return path === asked || (type === "model" ? modelFiles : dataFiles).test(own);
  };
  const { fetchSnapshot, pinnedTo } = await import("../../base/remote/hub-snapshot.js");
  const path = await fetchSnapshot(named, { ...options, wanted });
  return { path, reference: pinnedTo(named, path) };
}

async function fromS3(named: string, { withoutWeights, ...options }: FetchOptions): Promise<FetchedReference> {
  const wanted = (own: string) => !(withoutWeights && weightFiles.test(own)) && (own === "" || modelFiles.test(own) || dataFiles.test(own));
  const { fetchObjects } = await import("../../base/remote/s3-snapshot.js");
  return { path: await fetchObjects(named, { ...options, wanted }), reference: named };
}
