import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { RetortError } from "../../shared/base/errors.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import { taskNamed } from "../../shared/tasks/table.js";
import type { Example } from "../../shared/tasks/task.js";
import { type ClassifierJob, dataOf, rightLabel } from "../plan/jobs.js";
import type { Places } from "../plan/places.js";

/** What `retort train-classifier` says of the classifier that it has trained, as far as it is used here. */
export interface TrainedJudge {
  /** Share of the held-out texts that it is right on. */
  readonly accuracy: number;
  readonly heldOut: number;
  readonly seconds: number;
}

/** The program of users. */
const retort = fileURLToPath(new URL("../../cli.js", import.meta.url));

/** Trains a classifier with the command that users have, in a process of its own, and keeps what it said. */
export async function runClassifierJob(job: ClassifierJob, places: Places): Promise<TrainedJudge> {
  const { output, digest, training } = job;
  await rm(output, { recursive: true, force: true });
  const directory = places.data(digest);
  await mkdir(directory, { recursive: true });
  const [data, testData] = [join(directory, "train.jsonl"), join(directory, "held-out.jsonl")];
  await writeFile(data, await labelled(job, places, "train.jsonl", training.variants));
  await writeFile(testData, await labelled(job, places, "held-out.jsonl", 1));
  const { epochs, batchSize, learningRate, warmup, seed } = training;
  const argv = ["--model", job.teacher.output, "--data", data, "--test-data", testData, "--out", output, "--threads", "1"];
  const settings = Object.entries({ epochs, "batch-size": batchSize, "learning-rate": learningRate, warmup, seed });
  const stdout = await command([...argv, ...settings.flatMap(([name, value]) => [`--${name}`, String(value)])]);
  await writeAtomically(places.result(digest), Buffer.from(stdout));
  return JSON.parse(stdout) as TrainedJudge;
}

/** Runs `retort train-classifier`, which ends when this process does, and returns its JSON. @throws its error */
async function command(argv: readonly string[]): Promise<string> {
  const running = promisify(execFile)(process.execPath, [retort, "--json", "train-classifier", "--exit-with-parent", ...argv]);
  const end = () => running.child.kill();
  process.once("exit", end);
  try {
    return (await running).stdout;
  } catch (error) {
    const { stdout = "", message } = error as { stdout?: string; message: string };
    throw new RetortError("FailedPrecondition", stdout ? (JSON.parse(stdout) as { error: { message: string } }).error.message : message, {
      retry: "never",
    });
  } finally {
    process.off("exit", end);
  }
}

/** What was said of a classifier that was trained before. */
export async function storedClassifier({ digest }: ClassifierJob, places: Places): Promise<TrainedJudge | undefined> {
  const text = await readFile(places.result(digest), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as TrainedJudge);
}

/** Right and mistaken completions of the prompts of a dataset, as many of either. */
async function labelled({ recipe }: ClassifierJob, places: Places, file: string, variants: number): Promise<string> {
  const { vary, corrupt, check } = taskNamed(recipe.task);
  if (!vary || !corrupt) throw new RetortError("Internal", `task ${recipe.task} cannot make the texts of a classifier`);
  const lines = (await readFile(join(dataOf(recipe, places), file), "utf8")).trim().split("\n");
  const rows = lines.flatMap((line) => {
    const example = JSON.parse(line) as Example;
    const completions = Array.from({ length: variants }, (_, variant) => [vary(example, variant), corrupt(example, variant)]).flat();
    return completions.map((hypothesis) => ({
      premise: example.prompt,
      hypothesis,
      label: check(example.prompt, hypothesis) === 1 ? rightLabel : "mistaken",
    }));
  });
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}
