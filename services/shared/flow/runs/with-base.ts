import { createHash } from "node:crypto";
import { mkdir, readdir, readlink, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory } from "../../base/cache-directory.js";
import { readJson } from "../../base/json-text.js";
import { readRegular } from "../../base/regular-files.js";
import { isHubReference, parseHubReference } from "../../base/remote/hub-reference.js";
import { isS3Address } from "../../base/remote/s3-address.js";
import { writeAtomically } from "../../base/write-atomically.js";

const configName = "adapter_config.json";

type Fields = Readonly<Record<string, unknown>>;

const configOf = async (directory: string): Promise<Fields> =>
  readJson((await readRegular(join(directory, configName))).toString()) as Fields;

/** A hub's model, as PEFT names one. */
const hubName = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;

/**
 * The reference of the base model that an adapter's config names: that of PEFT's `base_model_name_or_path` at its `revision`, or whichever of
 * the given ones is of the same model. Undefined for a path, and for what is no adapter.
 *
 * @param bases references, each at the revision that is meant
 */
export async function baseReference(directory: string, named: string, bases: readonly string[] = []): Promise<string | undefined> {
  if (isS3Address(named)) return named;
  if (!isHubReference(named) && !hubName.test(named)) return undefined;
  const { name, path, revision: own } = parseHubReference(isHubReference(named) ? named : `hf://${named}`);
  const meant = bases.find((base) => {
    const other = isHubReference(base) ? parseHubReference(base) : undefined;
    return other?.type === "model" && other.name === name && other.path === path;
  });
  if (meant) return meant;
  const { revision } = await configOf(directory);
  const asked = typeof revision === "string" && revision ? revision : own;
  return `hf://${name}@${encodeURIComponent(asked)}${path && `/${path}`}`;
}

/**
 * A directory of an adapter's files whose config names a directory as its base model: links to the adapter's, as everything in the cache is. It
 * has the same path for the same two places.
 *
 * @param adapter directory of the adapter as it was fetched
 * @param base directory of its base model
 */
export async function withBase(adapter: string, base: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const id = createHash("sha256").update(`${adapter}\n${base}`).digest("hex").slice(0, 32);
  const directory = join(cacheDirectory(env), "adapters", id);
  await mkdir(directory, { recursive: true });
  for (const name of await readdir(adapter)) if (name !== configName) await link(join(adapter, name), join(directory, name));
  // `revision` is the hub's name's, and the base is a directory now.
  const config = { ...(await configOf(adapter)), base_model_name_or_path: base, revision: null };
  await writeAtomically(join(directory, configName), Buffer.from(`${JSON.stringify(config, undefined, 2)}\n`));
  return directory;
}

async function link(target: string, path: string): Promise<void> {
  if ((await readlink(path).catch(() => undefined)) === target) return;
  await rm(path, { force: true });
  await symlink(target, path).catch((error: NodeJS.ErrnoException) => {
    // Another process was as quick.
    if (error.code !== "EEXIST") throw error;
  });
}
