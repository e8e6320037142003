import { join, resolve } from "node:path";
import { RetortError } from "../../base/errors.js";
import { readJson } from "../../base/json-text.js";
import type { Roots } from "../../base/paths.js";
import { readRegular } from "../../base/regular-files.js";

/** The base model that a PEFT adapter's directory names, a path or a hub's OWNER/NAME; undefined as for {@link baseModelOf}. */
export async function baseNamedBy(directory: string): Promise<string | undefined> {
  try {
    const config = readJson((await readRegular(join(directory, "adapter_config.json"))).toString()) as Record<string, unknown> | null;
    const base = config?.base_model_name_or_path;
    return typeof base === "string" && base !== "" ? base : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The directory of the base model that a PEFT adapter's directory leads to; undefined for any other directory, and for an
 * adapter that cannot be read: what is wrong with it is told where it is opened.
 */
export async function baseModelOf(directory: string): Promise<string | undefined> {
  const base = await baseNamedBy(directory);
  return base && resolve(base);
}

/** Why a model's path may not be used; undefined if it may. Of an adapter, its base model's path too. */
export async function modelRefusal(roots: Roots, path: string): Promise<string | undefined> {
  const refused = await roots.refusal(path);
  if (refused) return refused;
  const base = await baseModelOf(path);
  const below = base && (await roots.refusal(base));
  return below && `is an adapter whose base model ${below}`;
}

/** @throws PermissionDenied naming the field, the path and the setting */
export async function checkModelPath(roots: Roots, path: string, fieldPath: string): Promise<void> {
  const refused = await modelRefusal(roots, path);
  if (refused) throw new RetortError("PermissionDenied", `${fieldPath} ${refused}`, { fieldPath });
}
