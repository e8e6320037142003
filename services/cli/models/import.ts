import { type Command, Option } from "commander";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { checkRoom } from "../../shared/base/check-room.js";
import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import { checkWritable, directoryProblem, ownDirectory } from "../../shared/base/own-directory.js";
import { inspectModel } from "../../shared/ml/models/files/inspect-model.js";
import { type GgufImport, type ImportOptions, withGguf, writeImport } from "../../shared/ml/models/gguf/import-gguf.js";
import { type ElementType, elementTypes } from "../../shared/ml/models/gguf/weights/element-type.js";
import { addCommand, print } from "../command.js";
import { startBar } from "../terminal/bar.js";

interface CommandOptions {
  readonly dtype: "auto" | ElementType;
  readonly force?: boolean;
}

/** What an import made. */
interface Imported {
  readonly source: string;
  readonly directory: string;
  /** `general.architecture` of the file. */
  readonly architecture: string;
  /** How many tensors there are of each of the file's types. */
  readonly tensors: Readonly<Record<string, number>>;
  readonly parameters: number;
  readonly dtype: ElementType;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly tokenizer: string;
  readonly tokens: number;
  /** SHA-256 of the weights, hexadecimal. */
  readonly digest: string;
  readonly warnings: readonly string[];
}

/** Adds `retort import`. */
export function addImportCommand(program: Command): void {
  addCommand(program, "Models and data:", "import <file> <dir>", "make a Hugging Face model directory of a GGUF file", [
    ["import model.Q4_K_M.gguf ./model", "weights that were quantised become float32"],
    ["import model.F16.gguf ./model", "half precision stays what it is, as far as that loses nothing"],
    ["import model.Q8_0.gguf ./model --dtype bfloat16", "half the size; weights are rounded"],
  ])
    .addOption(
      new Option("--dtype <type>", "element type of the weights; auto is the smallest that loses nothing")
        .choices(["auto", ...elementTypes])
        .default("auto"),
    )
    .option("--force", "use a directory that holds other files; only files of the same names are replaced")
    .action(async (file: string, directory: string, options: CommandOptions) => {
      const imported = await importFile(file, directory, options);
      for (const warning of imported.warnings) console.error(`warning: ${warning}`);
      print(program, imported, summary(imported));
    });
}

/** Makes a Hugging Face directory of a GGUF file. @throws as {@link withGguf} and {@link writeImport} */
export async function importFile(source: string, out: string, { dtype, force }: CommandOptions): Promise<Imported> {
  const problem = await directoryProblem(out, "import", { force });
  if (problem) throw new RetortError("FailedPrecondition", problem);
  const options: ImportOptions = dtype === "auto" ? {} : { elementType: dtype };
  const { planned, digest } = await withGguf(source, options, async (file, planned) => {
    const directory = await ownDirectory(out, "import", { force });
    await checkWritable(directory);
    await checkRoom(directory, planned.writeBytes, { what: "the model" });
    const bar = startBar("writing", planned.writeBytes);
    let written = 0;
    try {
      const onBytes = (bytes: number) => {
        written += bytes;
        bar.update(written);
      };
      return { planned, digest: await writeImport(directory, file, planned, { ...options, onBytes }) };
    } finally {
      bar.stop();
    }
  });
  // As every other command will read it.
  const { warnings } = await inspectModel(out);
  return described(source, out, planned, digest, warnings);
}

function described(source: string, directory: string, planned: GgufImport, digest: string, warnings: readonly string[]): Imported {
  const tensors: Record<string, number> = {};
  for (const { tensor } of planned.tensors) tensors[tensor.type.name] = (tensors[tensor.type.name] ?? 0) + 1;
  return {
    source,
    directory,
    architecture: planned.architecture,
    tensors,
    parameters: planned.parameters,
    dtype: planned.elementType,
    readBytes: planned.readBytes,
    writtenBytes: planned.writeBytes,
    tokenizer: planned.tokenizer.kind,
    tokens: planned.tokenizer.size,
    digest,
    warnings: [...planned.warnings, ...warnings],
  };
}

function summary(imported: Imported): string {
  const { source, directory, architecture, tensors, parameters, dtype, readBytes, writtenBytes, tokenizer, tokens, digest } = imported;
  const types = Object.entries(tensors).map(([type, count]) => `${count} ${type}`);
  const count = Object.values(tensors).reduce((sum, one) => sum + one, 0);
  return [
    `${source}: ${architecture}, ${counted(count, "tensor")} (${types.join(", ")}), ${bytesInWords(readBytes)}`,
    `${directory}: ${parameters} parameters in ${dtype}, ${bytesInWords(writtenBytes)}, ${digest.slice(0, 12)}; ${tokenizer}, ${tokens} tokens`,
  ].join("\n");
}
