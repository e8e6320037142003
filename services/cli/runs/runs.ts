import { toJson } from "@bufbuild/protobuf";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { readRegular } from "../../shared/base/regular-files.js";
import { mostYamlBytes } from "../../shared/base/yaml-document.js";
import { namedInputs } from "../../shared/flow/runs/named-inputs.js";
import { parseSpecFile, readSpecFile as readSpecText, type SpecFile } from "../../shared/flow/runs/spec.js";
import type { AuditFinished, EvaluationFinished, StepFinished } from "../../shared/gen/retort/v1/events_pb.js";
import { type Run, RunSchema, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { ControllerClient } from "../local.js";
import { followRun } from "./follow-run.js";
import { located } from "./located.js";
import { ProgressView } from "./progress.js";

/** The run of a controller's answer. */
export const runOf = ({ run }: { readonly run?: Run | undefined }): Run => found(run, "the run of the controller's answer");

/** Reads the spec of a YAML file. @throws NotFound or InvalidArgument that names the file */
export const readSpec = async (path: string): Promise<RunSpec> => (await specFileOf(path, parseSpecFile)).spec;

/**
 * Reads of a YAML file's spec what can be read, with what can't and where its fields stand: `checkFile` says what else is wrong.
 *
 * @param isLeft whether what it names elsewhere is left to whoever gets the spec
 * @throws NotFound, or InvalidArgument if it holds no spec at all
 */
export const readSpecFile = (path: string, isLeft: (named: string) => boolean): Promise<SpecFile> => specFileOf(path, readSpecText, isLeft);

async function specFileOf(
  path: string,
  read: (text: string, file: string) => SpecFile,
  isLeft: (named: string) => boolean = () => false,
): Promise<SpecFile> {
  const bytes = await readRegular(path, mostYamlBytes).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof RetortError) throw error;
    throw new RetortError("NotFound", `the run spec ${path} cannot be read (${error.code})`);
  });
  const file = read(bytes.toString(), path);
  for (const { path: named, replace, withoutWeights } of namedInputs(file.spec))
    if (!isLeft(named)) replace(await located(named, { withoutWeights }));
  return file;
}

/** What a run said while it was watched. */
export interface RunHistory {
  readonly run: Run;
  readonly steps: readonly StepFinished[];
  readonly evaluations: readonly EvaluationFinished[];
  /** The last account of its samples, if there was one. */
  readonly audit?: AuditFinished;
}

/** Follows a run to its end, showing progress, over the restarts of its controller; aborting the signal detaches. */
export async function watchRun(
  controller: ControllerClient,
  runId: string,
  signal: AbortSignal,
  view = new ProgressView(process.stderr),
): Promise<RunHistory> {
  const steps: StepFinished[] = [];
  const evaluations: EvaluationFinished[] = [];
  let audit: AuditFinished | undefined;
  try {
    for await (const event of followRun(controller, runId, { signal, say: (sentence) => view.say(sentence) })) {
      view.show(event);
      if (event.event.case === "stepFinished") steps.push(event.event.value);
      if (event.event.case === "evaluationFinished") evaluations.push(event.event.value);
      if (event.event.case === "auditFinished") audit = event.event.value;
    }
  } finally {
    view.close();
  }
  const run = runOf(await controller.getRun({ runId }));
  return { run, steps, evaluations, ...(audit ? { audit } : {}) };
}

/** A run as plain JSON. */
export const runJson = (run: Run): unknown => toJson(RunSchema, run);

/** Turns the end of a watched run into an error if it failed. */
export function checkSucceeded({ runId, state, message }: Run): void {
  if (state === RunState.FAILED) throw new RetortError("FailedPrecondition", `run ${runId} failed: ${message}`);
}

/** Turns an account that does not hold into an error. */
export function checkAudit(runId: string, audit: AuditFinished | undefined): void {
  if (!audit || audit.holds) return;
  const [first = "it does not say why", ...more] = audit.problems;
  const rest = more.length ? ` (and ${more.length} more; \`retort audit ${runId}\` lists them)` : "";
  throw new RetortError("DataLoss", `the account of run ${runId} does not hold: ${first}${rest}`);
}

/** A line about a run, for lists: id, state, step, start, size, and what it made. */
export function runRow({ runId, state, step, totalSteps, created, sizeBytes, output, message }: Run): string[] {
  const time = created ? new Date(Number(created.seconds) * 1000).toISOString().slice(0, 19).replace("T", " ") : "";
  const reason = message.length > 60 ? `${message.slice(0, 60)}…` : message;
  return [runId, RunState[state].toLowerCase(), `${step}/${totalSteps}`, time, bytesInWords(Number(sizeBytes)), output || reason];
}
