import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { RetortError } from "../../shared/base/errors.js";
import { isDirectory } from "../../shared/base/is-directory.js";
import { directoryProblem, isSame } from "../../shared/base/own-directory.js";
import { SnapshotCache } from "../../shared/base/remote/snapshot-cache.js";
import { mergedModel } from "../../shared/ml/models/adapter/low-rank.js";
import { requireDecoder } from "../../shared/ml/models/architectures/table.js";
import { readAdapterConfig } from "../../shared/ml/models/checkpoint/adapter.js";
import { readConfig } from "../../shared/ml/models/checkpoint/check.js";
import { isAdapter } from "../../shared/ml/models/checkpoint/diagnose.js";
import { copyAdapter } from "../../shared/ml/models/files/adapter-files.js";
import { saveOnnx, withoutOnnx } from "../../shared/ml/models/files/export-onnx.js";
import { loadAdaptable, saveModel } from "../../shared/ml/models/files/model-files.js";
import { digestOf } from "../../shared/ml/models/model.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";
import { type FloatDtype, storedNames } from "../../shared/ml/models/safetensors/widen.js";
import { addCommand, print, wholeNumber } from "../command.js";
import { type ControllerOptions, controllerOptions, withController } from "../runs/controller.js";
import { findRun } from "../runs/find-run.js";
import { fetchWeights } from "../runs/model-of-run.js";
import { withScratch } from "../scratch.js";
import { showTransfer } from "../terminal/bar.js";
import { exportDirectory } from "./export-directory.js";

interface ExportOptions extends ControllerOptions {
  readonly out: string;
  readonly format: "hf" | "onnx";
  readonly policyVersion?: number;
  readonly best?: boolean;
  readonly dtype?: FloatDtype;
  readonly merged?: boolean;
  readonly base?: string;
  readonly force?: boolean;
}

/** What an export made. */
interface Exported {
  readonly source: string;
  readonly format: string;
  readonly directory: string;
  /** For a run. */
  readonly policyVersion?: number;
  /** Of the model, or of the adapter. */
  readonly parameters: number;
  /** SHA-256 of the weights, hexadecimal. */
  readonly digest: string;
  /** Directory of the base model, for an adapter. */
  readonly base?: string;
}

/** Adds `retort export`. */
export function addExportCommand(program: Command): void {
  const command = addCommand(
    program,
    "Models and data:",
    "export <source>",
    "save the student of a run, or a model directory, for use elsewhere",
    [
      ["export my-run-251125-… --out ./student", "the trained student (or the newest weights) as a Hugging Face directory"],
      ["export my-run-251125-… --policy-version 40 --out ./v40", "one policy version, while the run keeps it"],
      ["export last --best --dtype bfloat16 --out ./best", "the checkpoint with the best evaluation, at half the size"],
      ["export my-adapter-251125-… --out ./adapter", "of a run that trained an adapter: as PEFT's directory"],
      ["export my-adapter-251125-… --merged --out ./student", "its base model and it as one Hugging Face directory"],
      ["export ./student --format onnx --out ./onnx", "one ONNX model that stock onnxruntime and transformers.js run"],
    ],
  )
    .requiredOption("--out <dir>", "where it goes")
    .option("--force", "write into an --out that holds other files; only files of the same names are replaced")
    .addOption(new Option("--format <format>", "what is written").choices(["hf", "onnx"]).default("hf"))
    .addOption(new Option("--dtype <dtype>", "of a Hugging Face directory: the weights' element type").choices(Object.keys(storedNames)))
    .option("--merged", "of an adapter: the model that it makes with its base, instead of the adapter; --format onnx always is")
    .option("--base <dir>", "of an adapter: where its base model is, if not where the adapter says")
    .option("--policy-version <n>", "policy version of the run (default: the trained student, else the newest)", wholeNumber(0))
    .option("--best", "of a run that keeps it (evaluation.keepBest): the checkpoint with the best evaluation");
  controllerOptions(command).action(async (source: string, options: ExportOptions) => {
    const exported = await exportModel(source, options);
    const { directory, parameters, digest, base } = exported;
    const what = base === undefined ? `${parameters} parameters` : `an adapter of ${parameters} parameters on ${base}`;
    print(program, exported, `${directory}: ${what}, ${digest.slice(0, 12)}`);
  });
}

async function exportModel(source: string, options: ExportOptions): Promise<Exported> {
  if (await isDirectory(source)) {
    const asked = options.policyVersion === undefined ? options.best && "--best" : `--policy-version ${options.policyVersion}`;
    if (asked) throw new RetortError("InvalidArgument", `${asked} belongs to a run, and ${source} is a directory`);
    if (await isSame(source, options.out))
      throw new RetortError("InvalidArgument", `--out ${options.out} is the model itself; name another directory`);
    return convert(source, source, options);
  }
  if (options.best && options.policyVersion !== undefined)
    throw new RetortError("InvalidArgument", `--best and --policy-version ${options.policyVersion} name two versions; give one of them`);
  if (/[/\\]/.test(source))
    throw new RetortError("NotFound", `there is no directory ${source}; give a model directory, or the id of a run`);
  // Before anything is fetched, and made when there is something to write.
  const problem = await directoryProblem(options.out, "export", options);
  if (problem) throw new RetortError("FailedPrecondition", problem);
  return withScratch(join(tmpdir(), "retort-export-"), async (fetched) => {
    const cache = new SnapshotCache(fetched, "set TMPDIR to another disk");
    const { directory, version } = await withController(options, async (controller) => {
      const { policyVersion, best } = options;
      const shown = showTransfer(`fetching ${source}`);
      const asked = { runId: await findRun(controller, source), version: policyVersion, best };
      return fetchWeights(controller, asked, cache, { onProgress: shown.update }).finally(() => shown.stop());
    });
    return { ...(await convert(source, directory, options)), policyVersion: version };
  });
}

/** Checks a model directory by loading it, then writes it again: an adapter as one, or with its base as a model. */
async function convert(source: string, from: string, { out, format, force, merged, dtype, base: named }: ExportOptions): Promise<Exported> {
  const base = named === undefined ? undefined : resolve(named);
  const adapted = isAdapter(await readdir(from));
  if (merged && !adapted)
    throw new RetortError("InvalidArgument", `${source} isn't an adapter, and there is nothing to merge; leave --merged out`);
  const plainAdapter = adapted && !merged && format === "hf";
  if (dtype && (plainAdapter || format === "onnx"))
    throw new RetortError(
      "InvalidArgument",
      `--dtype ${dtype} is for a Hugging Face directory of a whole model, and ${plainAdapter ? `${source} is an adapter: add --merged` : "--format onnx writes float32"}, or leave --dtype out`,
    );
  const onBase = adapted ? (base ?? (await readAdapterConfig(from)).base) : undefined;
  if (plainAdapter) {
    await exportDirectory(out, "adapter", { force, base: onBase });
    const copied = await copyAdapter(from, out, base);
    const parameters = [...copied.factors.values()].reduce((sum, { data }) => sum + data.length, 0);
    return { source, format, directory: out, parameters, digest: digestOf(copied.factors), base: copied.base };
  }
  if (format === "onnx" && !adapted) requireDecoder(await readConfig(from), from, withoutOnnx);
  const model = mergedModel(await loadAdaptable(from, base));
  await exportDirectory(out, "model", { force, base: onBase });
  if (format === "onnx") await saveOnnx(out, model, from, undefined, base);
  else await saveModel(out, model, from, base, dtype ? { dtype } : {});
  const written = dtype ? (await loadAdaptable(out)).params : model.params;
  return { source, format, directory: out, parameters: parameterCount(model.config), digest: digestOf(written) };
}
