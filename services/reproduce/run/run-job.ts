import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type JsonValue, toJson } from "@bufbuild/protobuf";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import { type EvaluationFinished, EvaluationFinishedSchema, type StepFinished } from "../../shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { Tokenizer } from "../../shared/ml/text/tokenizer.js";
import { dataOf, type RunJob } from "../plan/jobs.js";
import type { Places } from "../plan/places.js";
import type { Host, Service } from "./host.js";
import { measureAlso } from "./measure-also.js";
import { type Cost, isScored, type Outcome, parametersOf, totalsOf, trainingFlops } from "./outcome.js";

/** Where a job runs. */
export interface Bench {
  readonly places: Places;
  readonly host: Host;
  readonly controller: Service["controller"];
  /** Data directory of the controller. */
  readonly directory: string;
  readonly sideBySide: number;
}

/**
 * Runs a job through the controller, returns what came of it, and leaves nothing but its student.
 *
 * @throws FailedPrecondition if the run does not succeed
 */
export async function runJob(job: RunJob, bench: Bench, onStep: (step: StepFinished) => void): Promise<Outcome> {
  const { places, host, controller, directory, sideBySide } = bench;
  const started = performance.now();
  await rm(job.output, { recursive: true, force: true });
  const { runId } = found((await controller.startRun({ spec: job.spec })).run, "the run of the controller's answer");
  const steps: StepFinished[] = [];
  const evaluations: EvaluationFinished[] = [];
  for await (const { event } of controller.watchRun({ runId })) {
    if (event?.event.case === "stepFinished") {
      steps.push(event.event.value);
      onStep(event.event.value);
    }
    if (event?.event.case === "evaluationFinished") evaluations.push(event.event.value);
  }
  const { state, message } = found((await controller.getRun({ runId })).run, "the run of the controller's answer");
  const trouble = `${job.label} (run ${runId}) ended as ${RunState[state].toLowerCase()}`;
  if (state !== RunState.SUCCEEDED) throw new RetortError("FailedPrecondition", `${trouble}: ${message}`, { retry: "never" });
  const [first, last] = [evaluations[0], evaluations.at(-1)];
  if (!first || !last) throw new RetortError("Internal", `${trouble} without an evaluation`);
  await rm(join(directory, "runs", runId), { recursive: true, force: true });
  const totals = totalsOf(steps);
  return {
    digest: job.digest,
    label: job.label,
    spec: places.json(job.spec),
    first: plain(first),
    last: plain(last),
    totals,
    flops: trainingFlops(totals, await costOf(job, places)),
    wallSeconds: (performance.now() - started) / 1000,
    sideBySide,
    ...(job.also ? { also: await measureAlso(job, job.also, places, host) } : {}),
    finished: new Date().toISOString(),
  };
}

/** An evaluation without its examples, which are for people to read. */
const plain = (evaluation: EvaluationFinished): JsonValue => toJson(EvaluationFinishedSchema, { ...evaluation, examples: [] });

/** What of a row its cost is estimated from. */
interface CostRow {
  readonly prompt: string | readonly { readonly content: string }[];
  readonly completion: string;
}

async function costOf({ spec, output, recipe }: RunJob, places: Places): Promise<Cost> {
  const data = dataOf(recipe, places);
  const tokenizer = await Tokenizer.load(join(data, "tokenizer"));
  const lines = (await readFile(spec.data.path, "utf8")).trim().split("\n");
  const rows = lines.slice(0, spec.data.limit || lines.length).map((line) => JSON.parse(line) as CostRow);
  const meanTokens = (texts: readonly string[]) => texts.reduce((sum, text) => sum + tokenizer.encode(text).length, 0) / texts.length;
  const models = await Promise.all(spec.teachers.map(async ({ name, model }) => [name, await parametersOf(model)] as const));
  const writer = models.find(([name]) => name === spec.data.generate?.teacher);
  return {
    student: await parametersOf(output),
    teacher: models[0]?.[1] ?? 0,
    promptTokens: meanTokens(
      rows.map(({ prompt }) => (typeof prompt === "string" ? prompt : prompt.map(({ content }) => content).join(""))),
    ),
    scored: isScored(spec),
    ...(writer
      ? { written: { texts: rows.length, tokens: 1 + meanTokens(rows.map(({ completion }) => completion)), parameters: writer[1] } }
      : {}),
  };
}

/** The stored outcome of a job, if it was done before and measured as the job asks. */
export async function storedOutcome({ digest, also }: RunJob, places: Places): Promise<Outcome | undefined> {
  const text = await readFile(places.result(digest), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const outcome = JSON.parse(text) as Outcome;
  return Object.keys(also?.measures ?? {}).every((name) => name in (outcome.also ?? {})) ? outcome : undefined;
}

/** Stores an outcome, so that its run is never done again. */
export async function storeOutcome(outcome: Outcome, places: Places): Promise<void> {
  await writeAtomically(places.result(outcome.digest), Buffer.from(`${JSON.stringify(outcome, null, 1)}\n`));
}
