import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { RetortError } from "../../shared/base/errors.js";
import { columnsOf, readDataset } from "../../shared/flow/prompts/dataset.js";
import { isRunReference } from "../../shared/flow/runs/run-reference.js";
import { RunEstimateSchema } from "../../shared/gen/retort/v1/estimate_pb.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { addCommand, decimal, print } from "../command.js";
import { checkFile, withChecker } from "../runs/checker.js";
import { type ControllerOptions, controllerOptions } from "../runs/controller.js";
import { readSpecFile } from "../runs/runs.js";
import { sayWarnings, warningJson } from "../runs/warnings.js";
import { type Plan, planText } from "./plan-text.js";
import { runProbe } from "./run-probe.js";
import { type RunTimes, runTimes } from "./run-times.js";

interface PlanOptions extends ControllerOptions {
  readonly probe?: boolean;
  readonly pricePerHour?: number;
}

/** Adds `retort plan`. */
export function addPlanCommand(program: Command): void {
  const spec = "deploy/examples/num2words/on-policy.yaml";
  const command = addCommand(
    program,
    "Runs:",
    "plan <spec>",
    "what a run would take: memory, disk and tokens; with a probe, time and cost",
    [
      [`plan ${spec}`, "by the sizes of models and settings; runs nothing"],
      [`plan ${spec} --probe`, "runs a few steps of it here, and says how long all of them would take"],
      [`plan ${spec} --probe --price-per-hour 2.5`, "and what that costs"],
      [`plan ${spec} --json | jq .estimate.roles`, "for scripts"],
    ],
  )
    .option("--probe", "run a few steps with processes of this machine, in a directory below TMPDIR that is removed")
    .option("--price-per-hour <price>", "of all machines together, in any currency; needs --probe", decimal(0));
  controllerOptions(command).action((path: string, options: PlanOptions) => plan(program, path, options));
}

async function plan(program: Command, path: string, options: PlanOptions): Promise<void> {
  const { probe, pricePerHour } = options;
  if (pricePerHour !== undefined && !probe)
    throw new RetortError("InvalidArgument", `--price-per-hour ${pricePerHour} needs hours, which only --probe measures; add it`);
  const file = await readSpecFile(path, isRunReference);
  const checked = await withChecker(options, async (checker) => ({ ...(await checkFile(checker, file)), checkedBy: checker.name }));
  const { problems, warnings, checkedBy } = checked;
  if (problems.length) throw RetortError.ofProblems(path, problems);
  sayWarnings(warnings);
  const { estimate } = checked;
  if (!estimate)
    throw new RetortError(
      "Unimplemented",
      `the controller ${checkedBy} is older than this command and estimates nothing; start a newer one`,
    );
  const times = probe ? await probed(file.spec, estimate.evaluation?.evaluations ?? 0) : undefined;
  const known: Plan = { estimate, ...(times && { times }), ...(pricePerHour !== undefined && { pricePerHour }) };
  const cost = times && pricePerHour !== undefined ? { cost: costOf(times, pricePerHour) } : {};
  const json = { estimate: toJson(RunEstimateSchema, estimate), ...(times && { times }), ...cost };
  print(program, { ...json, warnings: warnings.map(warningJson), checkedBy }, planText(known, process.stdout));
}

async function probed(spec: RunSpec, evaluations: number): Promise<RunTimes> {
  const { probe, events } = await runProbe(spec, (sentence) => console.error(sentence));
  return runTimes(spec, probe, events, { evaluations, texts: probe.texts && (await textsOf(spec)) });
}

/** How many texts a teacher writes before the first step. */
async function textsOf({ data }: RunSpec): Promise<number> {
  if (!data?.path) return data?.generate?.texts ?? 0;
  return (await readDataset(data.path, columnsOf(data), data.limit || undefined)).length;
}

const costOf = ({ total }: RunTimes, pricePerHour: number) =>
  Object.fromEntries(Object.entries(total).map(([name, seconds]) => [name, (seconds / 3600) * pricePerHour]));
