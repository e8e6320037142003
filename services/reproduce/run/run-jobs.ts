import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import pLimit from "p-limit";
import { counted } from "../../shared/base/counted.js";
import { ownDirectory } from "../../shared/base/own-directory.js";
import { type ClassifierJob, dataOf, type Job, type RunJob, withNeeded } from "../plan/jobs.js";
import type { Places } from "../plan/places.js";
import { runClassifierJob, storedClassifier } from "./classifier-job.js";
import type { Host, Progress } from "./host.js";
import { measuresOf, type Outcome } from "./outcome.js";
import { type Bench, runJob, storedOutcome, storeOutcome } from "./run-job.js";
import { writeData } from "./task-data.js";
import { withService } from "./with-service.js";

/** Where jobs are done, and how many at a time. */
export interface RunnerOptions {
  readonly places: Places;
  /** How many runs go side by side. */
  readonly sideBySide: number;
  readonly host: Host;
  /** Takes a directory that holds files of others, too; they stay. */
  readonly force?: boolean;
}

/** Work of a run in units of one optimiser step over one prompt; its fixed cost is worth about this many. */
const overhead = 3000;

/** How much work a job is, in units of one optimiser step over one prompt. */
export function workOf(job: Job): number {
  if (job.kind === "classifier") return job.training.epochs * job.recipe.train * 2 * job.training.variants;
  return (
    overhead + job.spec.phases.reduce((sum, { steps, batchSize, samplesPerPrompt }) => sum + steps * batchSize * (samplesPerPrompt || 1), 0)
  );
}

/**
 * Does every job and what it needs, several side by side, each at most once ever: a finished run's outcome is kept under
 * the digest of its spec. Returns the outcomes by digest.
 *
 * @throws the error of the first run that failed, after those beside it have ended and been kept
 */
export async function runJobs(jobs: readonly Job[], options: RunnerOptions): Promise<ReadonlyMap<string, Outcome>> {
  const { places, host, sideBySide } = options;
  const all = withNeeded(jobs);
  await ownDirectory(places.root, "reproduction", { force: options.force, unmarked: ["data", "models", "results"] });
  for (const folder of ["data", "models", "results"]) await mkdir(join(places.root, folder), { recursive: true });
  for (const { recipe } of all) await writeData(recipe, dataOf(recipe, places));
  const outcomes = new Map<string, Outcome>();
  const left: Job[] = [];
  for (const job of all) {
    const done = job.kind === "run" ? await storedOutcome(job, places) : await storedClassifier(job, places);
    if (!done) left.push(job);
    else if ("spec" in done) outcomes.set(job.digest, done);
  }
  if (left.length === 0) return outcomes;
  host.terminal.write(`${counted(left.length, "run")} to do, ${all.length - left.length} done before\n`);
  await withService(host, async ({ controller }, directory) => {
    const made = await doAll(left, { places, host, controller, directory, sideBySide });
    for (const outcome of made) if (outcome) outcomes.set(outcome.digest, outcome);
  });
  return outcomes;
}

/** The outcomes in the order of the jobs; none for a classifier. */
async function doAll(jobs: readonly Job[], bench: Bench): Promise<(Outcome | undefined)[]> {
  const total = jobs.reduce((sum, job) => sum + workOf(job), 0);
  const progress = bench.host.progress(total);
  const limit = pLimit(bench.sideBySide);
  const started = new Map<string, Promise<Outcome | undefined>>();
  let failure: unknown;
  const perform = async (job: Job): Promise<Outcome | undefined> => {
    // What a job needs comes before it in the list, so its promise is there; waiting happens outside the limit.
    await Promise.all(job.after.map(({ digest }) => started.get(digest)));
    return limit(async () => {
      if (failure) throw failure;
      return job.kind === "run" ? doRun(job, bench, progress) : classify(job, bench.places, progress);
    });
  };
  for (const job of jobs) {
    const result = perform(job).catch((error: unknown) => {
      failure ??= error;
      throw error;
    });
    result.catch(() => {});
    started.set(job.digest, result);
  }
  try {
    await Promise.allSettled(started.values());
    return await Promise.all(started.values());
  } finally {
    progress.stop();
  }
}

async function doRun(job: RunJob, bench: Bench, progress: Progress): Promise<Outcome> {
  const perStep = (workOf(job) - overhead) / job.spec.phases.reduce((sum, { steps }) => sum + steps, 0);
  const outcome = await runJob(job, bench, ({ step, totalSteps }) => progress.advance(perStep, `${job.label}, step ${step}/${totalSteps}`));
  await storeOutcome(outcome, bench.places);
  progress.advance(overhead, job.label);
  progress.finished(job.label, summary(job, outcome));
  return outcome;
}

async function classify(job: ClassifierJob, places: Places, progress: Progress): Promise<undefined> {
  const { accuracy, seconds } = await runClassifierJob(job, places);
  progress.advance(workOf(job), job.label);
  progress.finished(job.label, `right on ${(100 * accuracy).toFixed(1)} % of held-out completions, ${seconds.toFixed(0)} s`);
}

function summary({ recipe }: RunJob, outcome: Outcome): string {
  const { greedy, sampled, teacherNll } = measuresOf(outcome, recipe.judge);
  const share = (name: string, value: number | undefined) => (value === undefined ? "" : `${name} ${(100 * value).toFixed(1)} %`);
  const nll = teacherNll === undefined ? "" : `teacher NLL ${teacherNll.toFixed(3)}`;
  return [share("greedy", greedy), share("at temperature 1", sampled), nll, `${outcome.wallSeconds.toFixed(0)} s`]
    .filter(Boolean)
    .join(", ");
}
