import { setTimeout as sleep } from "node:timers/promises";
import { toJson } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { RetortError } from "../../shared/base/errors.js";
import { freeBytes } from "../../shared/base/free-bytes.js";
import { isFetchable } from "../../shared/flow/runs/fetch-reference.js";
import { isRunReference } from "../../shared/flow/runs/run-reference.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import type { SpecFile } from "../../shared/flow/runs/spec.js";
import { EvaluationFinishedSchema } from "../../shared/gen/retort/v1/events_pb.js";
import { type Run, RunState, RunStateSchema } from "../../shared/gen/retort/v1/run_pb.js";
import { addCommand, print, wantsJson, wholeNumber } from "../command.js";
import { isKnownController } from "../known-controllers.js";
import type { ControllerClient } from "../local.js";
import { type Column, textTable } from "../terminal/text-table.js";
import { addUp } from "../up.js";
import { type Checker, checkFile, withChecker } from "./checker.js";
import { type ControllerOptions, controllerOptions, namedController, withController } from "./controller.js";
import { findRun } from "./find-run.js";
import { printEvents } from "./print-events.js";
import { type RemoveOptions, removeRuns } from "./remove.js";
import { checkAudit, checkSucceeded, readSpecFile, runJson, runOf, runRow, watchRun } from "./runs.js";
import { uploadInputs } from "./upload.js";
import { sayWarnings, warningJson } from "./warnings.js";

const spec = "deploy/examples/num2words/on-policy.yaml";
const runColumns: readonly Column[] = [
  { name: "run", rank: 3 },
  { name: "state", rank: 3 },
  { name: "step", rank: 3, align: "right" },
  { name: "started (UTC)", rank: 0, whole: true },
  { name: "size", rank: 2, align: "right", whole: true },
  { name: "trained student", cut: "start" },
];
/** What `--state` takes. */
const stateNames = RunStateSchema.values.flatMap(({ number, localName }) => (number === 0 ? [] : [localName.toLowerCase()]));
const uploadHelp = "send the models and data that the spec names on this machine to the controller";
const someRun = "on-policy-251125-…";

/** Adds the commands that talk to a controller, and the one that starts it. */
export function addRunCommands(program: Command): void {
  const command = (usage: string, description: string, examples: readonly (readonly [string, string])[]) =>
    controllerOptions(addCommand(program, "Runs:", usage, description, examples));
  addUp(program);
  command("validate <spec>", "check a spec, its models and its data, without starting it; needs no controller", [
    [`validate ${spec}`, "lists every problem at once, and what is unusual"],
    [`validate ${spec} --controller gpu:7070`, "as that controller's machine sees it"],
    [`validate ${spec} --json | jq .warnings`, "for scripts"],
  ])
    .option("--upload", uploadHelp)
    .action((path: string, options: ControllerOptions & SpecOptions) =>
      withChecker(options, (checker) => validate(program, checker, path, options)),
    );
  command("run <spec>", "start a run from a YAML spec and watch it; Ctrl-C detaches", [
    [`run ${spec}`, "progress on standard error, the trained student on standard output"],
    [`run ${spec} --detach`, "prints the run's id and returns"],
    [`run ${spec} --json | jq .run.output`, "for scripts"],
    ["run my.yaml --upload --controller cluster:7070", "with the models and data of this machine"],
  ])
    .option("--detach", "start it and return")
    .option("--upload", uploadHelp)
    .option("--request-id <id>", "of your choice: repeated with the same spec, the command watches the run that it has started before")
    .action((path: string, options: ControllerOptions & SpecOptions & { detach?: boolean; requestId?: string }) =>
      withController(options, (controller) => start(program, controller, path, options)),
    );
  command("watch <run>", "follow a run, from its beginning; Ctrl-C detaches", [
    [`watch ${someRun}`, "works for runs that are over, too"],
    [`watch ${someRun} --json | jq -c .stepFinished.loss`, "events as they come, one a line"],
    ["watch last", "the newest; every command takes the beginning of an id or the name of a spec, too"],
  ]).action((named: string, options: ControllerOptions) =>
    withController(options, async (controller) => {
      const runId = await findRun(controller, named);
      return wantsJson(program) ? printEvents(controller, runId, process.stdout) : watch(program, controller, runId);
    }),
  );
  command("runs", "list runs, newest first", [
    ["runs", ""],
    ["runs --state running paused", "those in one of these states"],
    ["runs --json | jq '.[0].runId'", "the newest run's id"],
  ])
    .addOption(new Option("--state <state...>", "runs in any of these states").choices(stateNames))
    .option("--name <name>", "runs whose spec has this name")
    .option("--limit <runs>", "the newest so many", wholeNumber(1, 1000))
    .action((options: ListOptions) => withController(options, (controller, { dataDir }) => list(program, controller, options, dataDir)));
  command("rm <run...>", "delete runs that are over: checkpoints, stored weights, logs, events; the trained student stays", [
    [`rm ${someRun}`, "asks first"],
    [`rm ${someRun} --yes`, "does not ask"],
  ])
    .option("--yes", "do not ask")
    .action((named: string[], options: RemoveOptions) => removeRuns(program, named, options));
  addSteering(program, command);
}

type ListOptions = ControllerOptions & { readonly state?: string[]; readonly name?: string; readonly limit?: number };

async function list(
  program: Command,
  controller: ControllerClient,
  { state = [], name = "", limit = 0 }: ListOptions,
  dataDir: string | undefined,
): Promise<void> {
  const states = state.map((one) => RunState[one.toUpperCase() as keyof typeof RunState]);
  const { runs } = await controller.listRuns({ states, name, pageSize: limit });
  const none = state.length || name ? "no such runs" : "no runs yet; start one: retort run SPEC.yaml";
  print(program, runs.map(runJson), runs.length ? textTable(runColumns, runs.map(runRow), process.stdout) : none);
  // Of another machine's disk nothing is known here.
  const free = dataDir === undefined ? undefined : await freeBytes(dataDir);
  if (runs.length && free !== undefined) console.error(`${bytesInWords(free)} free on the disk of ${dataDir}`);
}

/** Commands that ask something of a run that is going, and wait until it is so. */
function addSteering(
  program: Command,
  command: (usage: string, description: string, examples: readonly (readonly [string, string])[]) => Command,
): void {
  const steering = [
    ["pause", "save a checkpoint and hold the run; its processes stay", "pauseRun", [RunState.PAUSED]],
    ["stop", "save a checkpoint and end the run; it can be resumed", "stopRun", [RunState.STOPPED]],
    ["resume", "go on with a paused run, or with a stopped or failed one from its checkpoint", "resumeRun", [RunState.RUNNING]],
  ] as const;
  for (const [name, description, method, goals] of steering) {
    const made = command(`${name} <run>`, description, [
      [`${name} ${someRun}`, `waits until the run is ${RunState[goals[0]].toLowerCase()}`],
      [`${name} ${someRun} --no-wait`, "asks for it and returns"],
      ...(name === "stop" ? ([[`stop ${someRun} --now`, "ends its processes at once, without a checkpoint"]] as const) : []),
    ]).option("--no-wait", "return at once");
    if (name === "stop") made.option("--now", "end its processes at once: a resume goes on from the last checkpoint");
    made.action((named: string, options: ControllerOptions & { wait: boolean; now?: boolean }) =>
      withController(options, async (controller) => {
        const runId = await findRun(controller, named);
        const asked = runOf(await controller[method]({ runId, ...(options.now ? { now: true } : {}) }));
        const reached = options.wait ? await settled(controller, asked, goals) : asked;
        print(
          program,
          runJson(reached),
          `${runId}: ${RunState[reached.state].toLowerCase()} at step ${reached.step}/${reached.totalSteps}${reached.message ? `: ${reached.message}` : ""}`,
        );
        if (options.wait) checkSucceeded(reached);
      }),
    );
  }
}

/** Waits until a run is in one of the states, or over. */
async function settled(controller: ControllerClient, asked: Run, goals: readonly RunState[]): Promise<Run> {
  let run = asked;
  for (let waited = 0; !goals.includes(run.state) && !isOver(run.state); waited++) {
    if (waited === 5)
      console.error(`waiting for ${run.runId}, which is ${RunState[run.state].toLowerCase()} (Ctrl-C stops waiting, not the run) …`);
    await sleep(200);
    run = runOf(await controller.getRun({ runId: run.runId }));
  }
  return run;
}

interface SpecOptions {
  readonly upload?: boolean;
}

/**
 * A spec as the controller is to get it. What lies elsewhere is fetched here for one of this machine, or to be uploaded; any other controller's
 * processes fetch it themselves, or it says that they don't.
 */
async function readInputs(
  controller: ControllerClient,
  path: string,
  { upload, ...options }: SpecOptions & ControllerOptions,
): Promise<SpecFile> {
  const named = namedController(options);
  const isElsewhere = !upload && named !== undefined && !(await isKnownController(named));
  const file = await readSpecFile(path, (text) => isRunReference(text) || (isElsewhere && isFetchable(text)));
  if (upload) await uploadInputs(controller, file.spec);
  return file;
}

async function validate(program: Command, checker: Checker, path: string, options: SpecOptions & ControllerOptions): Promise<void> {
  const { problems, warnings } = await checkFile(checker, await readInputs(checker.controller, path, options));
  if (problems.length) throw RetortError.ofProblems(path, problems);
  sayWarnings(warnings);
  print(program, { problems, warnings: warnings.map(warningJson), checkedBy: checker.name }, `${path} can run`);
}

async function start(
  program: Command,
  controller: ControllerClient,
  path: string,
  { detach, requestId = "", ...options }: SpecOptions & ControllerOptions & { readonly detach?: boolean; readonly requestId?: string },
): Promise<void> {
  const file = await readInputs(controller, path, options);
  // What can't be read is said with all that is wrong besides.
  if (file.misfits.length) throw RetortError.ofProblems(path, (await checkFile({ controller }, file)).problems);
  const { spec, located } = file;
  const answer = await controller.startRun({ spec, requestId }).catch((thrown: unknown) => {
    const { code, problems, message } = RetortError.from(thrown);
    if (code === "InvalidArgument" && problems.length && message.startsWith("the run spec"))
      throw RetortError.ofProblems(path, located(problems));
    throw thrown;
  });
  const run = runOf(answer);
  if (detach) {
    // `watch` shows them among the run's events.
    sayWarnings(located(answer.warnings.map(({ field, message }) => ({ fieldPath: field, description: message }))));
    return print(program, runJson(run), run.runId);
  }
  console.error(`run ${run.runId}`);
  await watch(program, controller, run.runId);
}

async function watch(program: Command, controller: ControllerClient, runId: string): Promise<void> {
  const detach = new AbortController();
  // Once: a second Ctrl-C ends this process at once.
  const leave = () => {
    console.error(`\ndetached; the run goes on. Follow it again: retort watch ${runId}`);
    detach.abort();
  };
  process.once("SIGINT", leave);
  const { run, evaluations, audit } = await watchRun(controller, runId, detach.signal).finally(() => process.off("SIGINT", leave));
  const figures = evaluations.map((one) => toJson(EvaluationFinishedSchema, { ...one, examples: [] }));
  const detached = detach.signal.aborted;
  print(program, { run: runJson(run), evaluations: figures, detached }, run.output && !detached ? run.output : "");
  if (detached) return;
  checkSucceeded(run);
  checkAudit(runId, audit);
}
