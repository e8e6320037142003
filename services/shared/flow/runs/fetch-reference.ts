import { isHubReference, parseHubReference } from "../../base/remote/hub-reference.js";
import { isS3Address } from "../../base/remote/s3-address.js";
import type { FillOptions } from "../../base/remote/snapshot-cache.js";
import { dataFiles, modelFiles, weightFiles } from "./input-files.js";

/** How much of what a reference names is fetched, and where to. */
export interface FetchOptions extends FillOptions {
  /** Whether only tokenizer and configs of a model are read. */
  readonly withoutWeights?: boolean | undefined;
  /** Where the caches are, and who is asked: HF_HOME, XDG_CACHE_HOME, HF_TOKEN, AWS_REGION … Default: the process's. */
  readonly env?: NodeJS.ProcessEnv;
}

/** What a reference names, on this machine. */
export interface FetchedReference {
  /** Where it lies. */
  readonly path: string;
  /** The same, unchangeable: a hub's branch or tag is its commit. Of S3 the path alone says what was there. */
  readonly reference: string;
}

/** Whether a text names models or data in a place that any process can fetch from: `hf://`, `s3://`. */
export const isFetchable = (named: string): boolean => isHubReference(named) || isS3Address(named);

/**
 * Fetches what an `hf://` or `s3://` reference names, unless the cache has it. Of a model's folder come the files that Retort reads, of data the rows,
 * and a file that is named comes whatever it is.
 *
 * @throws as fetchSnapshot and fetchObjects
 */
export async function fetchReference(named: string, options: FetchOptions = {}): Promise<FetchedReference> {
  return isHubReference(named) ? fromHub(named, options) : fromS3(named, options);
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
