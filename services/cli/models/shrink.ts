import { type Command, InvalidArgumentError } from "commander";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { checkRoom } from "../../shared/base/check-room.js";
import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import { checkWritable, directoryProblem, isSame, ownDirectory } from "../../shared/base/own-directory.js";
import { inspectModel } from "../../shared/ml/models/files/inspect-model.js";
import type { LayerChoice } from "../../shared/ml/models/shrink/kept-layers.js";
import { planShrink, type ShrunkModel, writeShrunk } from "../../shared/ml/models/shrink/shrink-model.js";
import { addCommand, print, wholeNumber } from "../command.js";
import { startBar } from "../terminal/bar.js";

interface ShrinkOptions {
  readonly out: string;
  readonly layers?: number;
  readonly keep?: readonly number[];
  readonly encoderLayers?: number;
  readonly encoderKeep?: readonly number[];
  readonly force?: boolean;
}

/** What a shrinking made. */
interface Shrunk {
  readonly source: string;
  readonly directory: string;
  readonly architecture: string;
  /** How many there were, and which of them stayed, counted from 0. */
  readonly sourceLayers: number;
  readonly layers: readonly number[];
  /** The same of an encoder. */
  readonly sourceEncoderLayers?: number;
  readonly encoderLayers?: readonly number[];
  readonly parameters: number;
  /** Element types of the weights in the file. */
  readonly dtypes: readonly string[];
  /** Of weights. */
  readonly bytes: number;
  readonly warnings: readonly string[];
}

/** Adds `retort shrink`. */
export function addShrinkCommand(program: Command): void {
  addCommand(program, "Models and data:", "shrink <model>", "cut a student from a teacher: the same model with fewer layers", [
    ["shrink ./teacher --layers 12 --out ./student", "12 of its layers, spread evenly: the first and the last always"],
    ["shrink ./teacher --keep 0-7,28,29 --out ./student", "these layers, counted from 0"],
    ["shrink ./t5 --layers 3 --encoder-layers 6 --out ./small-t5", "of an encoder-decoder: 3 of the decoder, 6 of the encoder"],
  ])
    .requiredOption("--out <dir>", "where the student goes")
    .option("--layers <n>", "how many layers stay", wholeNumber(1))
    .option("--keep <list>", "which layers stay, counted from 0: 0,2,5 or 0-3,11", layerList)
    .option("--encoder-layers <n>", "how many stay in an encoder (default: as in the decoder)", wholeNumber(1))
    .option("--encoder-keep <list>", "which stay in an encoder", layerList)
    .option("--force", "write into an --out that holds other files; only files of the same names are replaced")
    .action(async (source: string, options: ShrinkOptions) => {
      const shrunk = await shrink(source, options);
      for (const warning of shrunk.warnings) console.error(`warning: ${warning}`);
      print(program, shrunk, summary(shrunk));
    });
}

/** Most layers that a range may name: no model has more. */
const mostLayers = 10_000;

/** Reads numbers and ranges, as "0-3,11". */
function layerList(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [, from = "", to = from] = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*$/.exec(part) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (from === "" || last < first || last >= mostLayers)
      throw new InvalidArgumentError("It must be layers, counted from 0, and ranges of them: 0-3,11.");
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/**
 * Makes a model directory of another one's layers.
 *
 * @throws InvalidArgument, NotFound or FailedPrecondition naming option, file or directory, and the way out
 */
export async function shrink(source: string, options: ShrinkOptions): Promise<Shrunk> {
  const { out, force } = options;
  const decoder = choice("--layers", options.layers, "--keep", options.keep);
  const encoder = choice("--encoder-layers", options.encoderLayers, "--encoder-keep", options.encoderKeep);
  if (decoder === undefined)
    throw new RetortError("InvalidArgument", "say which layers stay: --layers 12, or --keep 0-3,11 for ones of your choice");
  if (await isSame(source, out)) throw new RetortError("InvalidArgument", `--out ${out} is the model itself; name another directory`);
  const problem = await directoryProblem(out, "shrink", { force });
  if (problem) throw new RetortError("FailedPrecondition", problem);
  const plan = await planShrink(source, decoder, encoder);
  const directory = await ownDirectory(out, "shrink", { force });
  await checkWritable(directory);
  await checkRoom(directory, plan.bytes, { what: "the model" });
  const bar = startBar("writing", plan.bytes);
  let done = 0;
  try {
    await writeShrunk(directory, plan, (bytes) => {
      done += bytes;
      bar.update(done);
    });
  } finally {
    bar.stop();
  }
  // As every other command will read it.
  const { warnings } = await inspectModel(out);
  return described(source, out, plan, warnings);
}

function choice(
  countName: string,
  count: number | undefined,
  listName: string,
  list: readonly number[] | undefined,
): LayerChoice | undefined {
  if (count !== undefined && list !== undefined)
    throw new RetortError("InvalidArgument", `${countName} and ${listName} both say which layers stay; give one of them`);
  return list ?? count;
}

function described(source: string, directory: string, plan: ShrunkModel, warnings: readonly string[]): Shrunk {
  const { whole, kept, parameters, dtypes, bytes } = plan;
  const { encoderDecoder } = whole;
  return {
    ...{ source, directory, architecture: whole.architecture, sourceLayers: whole.layers, layers: kept.layers },
    ...(encoderDecoder ? { sourceEncoderLayers: encoderDecoder.encoderLayers, encoderLayers: kept.encoderLayers } : {}),
    ...{ parameters, dtypes, bytes, warnings },
  };
}

function summary({ directory, sourceLayers, layers, sourceEncoderLayers, encoderLayers, parameters, dtypes, bytes }: Shrunk): string {
  const part = (all: number, left: readonly number[]) => `${left.length} of ${counted(all, "layer")} (${left.join(", ")})`;
  const decoder = part(sourceLayers, layers);
  const both = encoderLayers && sourceEncoderLayers ? `decoder ${decoder}, encoder ${part(sourceEncoderLayers, encoderLayers)}` : decoder;
  return `${directory}: ${both}; ${parameters} parameters in ${dtypes.join(", ")}, ${bytesInWords(bytes)}`;
}
