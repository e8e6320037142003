import { readdir, realpath } from "node:fs/promises";
import { RetortError } from "../../shared/base/errors.js";
import { checkWritable, clearDirectory, isSame, ownDirectory } from "../../shared/base/own-directory.js";
import { isAdapterFile } from "../../shared/ml/models/checkpoint/diagnose.js";
import { isWeightsFile } from "../../shared/ml/models/checkpoint/open.js";

/** What an export's directory is to hold. */
export type ExportForm = "adapter" | "model";

/** The files of each form that make a directory unreadable as the other. */
const files: Readonly<Record<ExportForm, (name: string) => boolean>> = {
  adapter: isAdapterFile,
  model: (name) => isWeightsFile(name) || ["config.json", "generation_config.json", "model.onnx", "model.onnx.data"].includes(name),
};

/**
 * Makes the directory of an export ready to be written to: one that an earlier export made is cleared of the other form's
 * files, since a model with an adapter's files beside it is read as neither.
 *
 * @param base directory of an adapter's base model, which must stay as it is
 * @throws FailedPrecondition or PermissionDenied naming the directory and the way out
 */
export async function exportDirectory(out: string, form: ExportForm, options: { force?: boolean; base?: string }): Promise<void> {
  const { force, base } = options;
  if (base !== undefined && (await isSame(out, base)))
    throw new RetortError("FailedPrecondition", `--out ${out} is the adapter's base model; name another directory`);
  await checkWritable(await ownDirectory(out, "export", { force }));
  const other = form === "model" ? "adapter" : "model";
  const strangers = async () => (await readdir(out)).filter(files[other]);
  const stale = await strangers();
  if (stale.length === 0) return;
  await clearDirectory(await realpath(out), "export", stale);
  // In a directory that was taken by force nothing is deleted.
  const left = await strangers();
  if (left.length)
    throw new RetortError(
      "FailedPrecondition",
      `${out} holds the files of ${other === "adapter" ? "an adapter" : "a model"} (${left.join(", ")}), and with ${form === "adapter" ? "an adapter's" : "a model's"} beside them it would be neither; move them out, or name another directory`,
    );
}
