import { availableParallelism } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import { errorTable, RetortError } from "../../shared/base/errors.js";
import { checkWritable, isSame, ownDirectory } from "../../shared/base/own-directory.js";
import { parentGone } from "../../shared/base/processes.js";
import { deriveSeed, permutation } from "../../shared/base/random.js";
import { saveClassifier, withClasses } from "../../shared/ml/classification/classifier.js";
import type { LabelledText } from "../../shared/ml/classification/classifier-trainer.js";
import { type EpochFigures, fineTune, stepsOf, streams } from "../../shared/ml/classification/fine-tune.js";
import { requireDecoder } from "../../shared/ml/models/architectures/table.js";
import { openModel } from "../../shared/ml/models/checkpoint/check.js";
import { loadModel } from "../../shared/ml/models/files/model-files.js";
import { digestOf, type Model } from "../../shared/ml/models/model.js";
import { classHead } from "../../shared/ml/models/model-params.js";
import { checkDevice } from "../../shared/ml/runtime/device.js";
import type { Device } from "../../shared/ml/runtime/session.js";
import { addCommand, decimal, print, wholeNumber } from "../command.js";
import { startBar } from "../terminal/bar.js";
import { textTable } from "../terminal/text-table.js";
import { deviceOption } from "./device-option.js";
import { classesOf, type NamedText, readLabelledTexts } from "./labelled-texts.js";

/** Options of `retort train-classifier`. */
export interface TrainClassifierOptions {
  readonly model: string;
  readonly data: string;
  readonly out: string;
  readonly template?: string;
  readonly labelColumn: string;
  readonly labels?: readonly string[];
  readonly heldOut: number;
  readonly testData?: string;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly warmup: number;
  readonly seed: number;
  readonly device: Device;
  readonly threads: number;
  /** Takes a directory that holds files of others, too. */
  readonly force?: boolean;
  readonly exitWithParent?: boolean;
}

/** What a training came to. */
export interface TrainedClassifier {
  readonly directory: string;
  readonly labels: readonly string[];
  /** Texts that it was trained on, that were held out, and that were longer than the model's positions. */
  readonly texts: number;
  readonly heldOut: number;
  readonly tooLong: number;
  readonly epochs: readonly EpochFigures[];
  /** Of the held-out texts, after the last epoch; and what always saying the commonest class would be right on. */
  readonly accuracy: number | undefined;
  readonly commonest: number | undefined;
  readonly seconds: number;
  /** SHA-256 of the weights, hexadecimal. */
  readonly digest: string;
}

/** Adds `retort train-classifier`. */
export function addTrainClassifierCommand(program: Command): void {
  addCommand(program, "Models and data:", "train-classifier", "train a classifier of texts from a model, to reward completions with", [
    ["train-classifier --model DIR --data labelled.jsonl --out ./judge", 'rows such as {"text": "…", "label": "good"}'],
    ["train-classifier --model DIR --data nli.parquet --out ./judge", "rows with premise, hypothesis and label"],
    ["train-classifier --model DIR --data rows.jsonl --template '{{ prompt }} {{ answer }}' --out ./judge", "any columns"],
  ])
    .requiredOption("--model <dir>", "Hugging Face model directory to start from, of a family that `retort models` lists")
    .requiredOption("--data <file>", "labelled texts: JSONL or Parquet, or a directory of them")
    .requiredOption("--out <dir>", "where the classifier goes, as transformers' …ForSequenceClassification")
    .option("--force", "write into an --out that holds other files; only files of the same names are replaced")
    .addOption(new Option("--exit-with-parent", "end when standard input closes").hideHelp())
    .option("--template <text>", "Jinja over the columns (default: {{ text }}, or {{ premise }}{{ hypothesis }})")
    .option("--label-column <column>", "column of the classes", "label")
    .option("--labels <list>", "classes in the order of the logits, separated by commas (default: those of the data)", listOfLabels)
    .option("--held-out <share>", "share of the texts, drawn at random, that accuracy is measured on", decimal(0, 0.9), 0.1)
    .option("--test-data <file>", "labelled texts to measure accuracy on instead; then none is held out")
    .option("--epochs <n>", "times that every text is trained on", wholeNumber(1), 3)
    .option("--batch-size <n>", "texts of an optimiser step", wholeNumber(1), 32)
    .option("--learning-rate <x>", "the highest; it then falls linearly to 0", decimal(Number.MIN_VALUE), 5e-5)
    .option("--warmup <share>", "share of the steps over which the learning rate rises", decimal(0, 0.9), 0.1)
    .option("--seed <n>", "seed of the class weights, the held-out texts and the order", wholeNumber(0), 0)
    .option("--threads <n>", "threads inside one operator", wholeNumber(1), availableParallelism())
    .addOption(deviceOption("where the model is trained"))
    .action(async (options: TrainClassifierOptions) => {
      if (options.exitWithParent) parentGone().then(() => process.exit(errorTable.Cancelled.exit));
      const trained = await trainClassifier(options);
      print(program, trained, `${epochTable(trained)}\n${summaryOf(trained)}`);
    });
}

function listOfLabels(text: string): string[] {
  const labels = text.split(",").map((label) => label.trim());
  if (labels.length >= 2 && new Set(labels).size === labels.length && !labels.includes("")) return labels;
  throw new InvalidArgumentError("It must be two or more different names, separated by commas.");
}

/** Trains a classifier and saves it. @throws InvalidArgument or NotFound naming the option or file at fault, before training */
export async function trainClassifier(options: TrainClassifierOptions): Promise<TrainedClassifier> {
  const { seed, device, threads, epochs, batchSize, learningRate, warmup, testData } = options;
  const started = performance.now();
  await checkDevice(device);
  const columns = { label: options.labelColumn, template: options.template };
  const named = await readLabelledTexts(options.data, columns);
  const tested = testData === undefined ? undefined : { texts: await readLabelledTexts(testData, columns), file: testData };
  const labels = classesOf([...named, ...(tested?.texts ?? [])], options.labels);
  const model = await loadBase(options.model);
  const data = fitting(model, named, labels, options.data);
  const test = tested && fitting(model, tested.texts, labels, tested.file);
  const { train, heldOut } = test ? { train: data.texts, heldOut: test.texts } : split(data.texts, options.heldOut, BigInt(seed));
  const untrained = withClasses(model, labels, deriveSeed(BigInt(seed), streams.classWeights));
  await prepareOutput(options);
  const bar = startBar("training", stepsOf(train.length, options));
  const figures: EpochFigures[] = [];
  try {
    const trained = await fineTune(untrained, train, heldOut, {
      ...{ epochs, batchSize, learningRate, warmup, device, threads, seed: BigInt(seed) },
      onStep: (done) => bar.update(done),
      onEpoch: (epoch) => figures.push(epoch),
    });
    await saveClassifier(options.out, trained, options.model);
    return {
      ...{ directory: options.out, labels, texts: train.length, heldOut: heldOut.length, epochs: figures },
      tooLong: data.tooLong + (test?.tooLong ?? 0),
      accuracy: figures.at(-1)?.accuracy,
      commonest: heldOut.length
        ? Math.max(...labels.map((_, i) => heldOut.filter(({ label }) => label === i).length)) / heldOut.length
        : undefined,
      seconds: (performance.now() - started) / 1000,
      digest: digestOf(trained.params),
    };
  } finally {
    bar.stop();
  }
}

async function loadBase(directory: string): Promise<Model> {
  const { config, tensors } = await openModel(directory);
  requireDecoder(config, `--model ${directory}`, "train a classifier from a decoder");
  if (tensors.has(classHead))
    throw new RetortError("InvalidArgument", `--model ${directory} is a classifier already; name the language model to start from`);
  return loadModel(directory);
}

/** What would otherwise be found out after training. Returns the directory. */
async function prepareOutput({ model, data, testData, out, force }: TrainClassifierOptions): Promise<string> {
  for (const [option, input] of Object.entries({ "--model": model, "--data": data, "--test-data": testData }))
    if (input !== undefined && (await isSame(input, out)))
      throw new RetortError("InvalidArgument", `--out ${out} is ${option} itself; name another directory`);
  const directory = await ownDirectory(out, "classifier", { force });
  await checkWritable(directory);
  return directory;
}

/** Texts in the model's tokens; those that do not fit are left out and counted, never cut. */
function fitting({ tokenizer, config }: Model, named: readonly NamedText[], labels: readonly string[], file: string) {
  const all = named.map(({ text, label }): LabelledText => ({ ids: tokenizer.encodeText(text).ids, label: labels.indexOf(label) }));
  const texts = all.filter(({ ids }) => ids.length <= config.maxPositions);
  if (texts.length) return { texts, tooLong: all.length - texts.length };
  throw new RetortError(
    "InvalidArgument",
    `every text of ${file} is longer than the model's ${config.maxPositions} positions; shorten them, or take a model with more`,
  );
}

function split(texts: readonly LabelledText[], share: number, seed: bigint) {
  const order = permutation(deriveSeed(seed, streams.heldOut), texts.length);
  const count = Math.floor(texts.length * share);
  const at = (part: Uint32Array) => Array.from(part, (i) => texts[i]!);
  return { heldOut: at(order.subarray(0, count)), train: at(order.subarray(count)) };
}

const percent = (share: number | undefined): string => (share === undefined ? "" : `${(100 * share).toFixed(1)} %`);

function epochTable({ epochs, heldOut }: TrainedClassifier): string {
  const columns = heldOut ? 3 : 2;
  const rows = epochs.map(({ epoch, loss, accuracy }) => [String(epoch), loss.toFixed(4), percent(accuracy)].slice(0, columns));
  return textTable(["epoch", "loss", "accuracy"].slice(0, columns), rows, process.stdout);
}

function summaryOf({ directory, labels, texts, heldOut, tooLong, accuracy, commonest }: TrainedClassifier): string {
  const right = heldOut
    ? `, right on ${percent(accuracy)} of ${heldOut} held-out ones (always the commonest class: ${percent(commonest)})`
    : "";
  const lost = tooLong ? `; ${tooLong} texts are longer than the model's positions and were left out` : "";
  return `${directory}: tells ${labels.join(", ")} apart, trained on ${texts} texts${right}${lost}`;
}
