import { randomUUID } from "node:crypto";
import { devNull } from "node:os";
import { type Problem, RetortError } from "../../shared/base/errors.js";
import { whenServing } from "../../shared/base/ready.js";
import { toFlags } from "../../shared/base/settings.js";
import type { SpecFile } from "../../shared/flow/runs/spec.js";
import type { RunEstimate } from "../../shared/gen/retort/v1/estimate_pb.js";
import { type ControllerClient, connectController, end, longestStartMs, privateEnvironment, spawnRole } from "../local.js";
import { supervisor } from "../supervise.js";
import { type ControllerOptions, localController, namedController, withController } from "./controller.js";

/** Who checks specs. */
export interface Checker {
  /** A controller, or a process of this machine that is one for this alone. */
  readonly controller: ControllerClient;
  /** Its address; `this machine` where no controller runs. */
  readonly name: string;
}

/** What a check came to, each problem and warning with where in the file it is. */
export interface CheckedFile {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** What the run is expected to take; absent if it can't run. */
  readonly estimate?: RunEstimate | undefined;
}

/**
 * Does some work with what checks specs: the controller that options or environment name, else the one that runs here, else a
 * process of the controller's own program that is there for this alone. Says on standard error which it is. Where a controller that
 * nobody named goes away meanwhile, the work is begun anew with such a process.
 */
export async function withChecker<T>(options: ControllerOptions, work: (checker: Checker) => Promise<T>): Promise<T> {
  if (namedController(options) !== undefined || options.dataDir !== undefined) return withNamed(options, work);
  const found = await localController();
  if (!found) return withProcess("no controller is running", work);
  return withNamed({ ...options, controller: found.address }, work).catch((error: unknown) => {
    if (RetortError.from(error).code !== "Unavailable") throw error;
    return withProcess("that controller is gone", work);
  });
}

function withNamed<T>(options: ControllerOptions, work: (checker: Checker) => Promise<T>): Promise<T> {
  return withController(options, (controller, { address }) => {
    console.error(`asking the controller ${address}`);
    return work({ controller, name: address });
  });
}

/** Lets a checker look at a spec, and places what it says in the file, beside what couldn't be read of it; in the order of its lines. */
export async function checkFile(
  { controller }: Pick<Checker, "controller">,
  { spec, misfits, beside, located }: SpecFile,
): Promise<CheckedFile> {
  const { problems, warnings, estimate } = await controller.validateRun({ spec });
  const placed = (found: typeof problems) =>
    located(beside(found.map(({ field, message }) => ({ fieldPath: field, description: message }))));
  return { problems: [...misfits, ...placed(problems)].sort(byPlace), warnings: placed(warnings), estimate };
}

const byPlace = ({ place: a }: Problem, { place: b }: Problem): number =>
  (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0);

/** How long the process may take to end, in ms: it has nothing to save. */
const graceMs = 2000;

/** A process that checks specs, to callers of this machine that know its token, as long as the work lasts. */
async function withProcess<T>(why: string, work: (checker: Checker) => Promise<T>): Promise<T> {
  console.error(`checking here: ${why}`);
  const token = randomUUID();
  const flags = toFlags({ checkOnly: true, host: "127.0.0.1", port: 0, healthPort: 0, metricsPort: 0, logFormat: "json" });
  const child = spawnRole("controller", flags, devNull, { env: privateEnvironment(token) });
  const forget = supervisor.add({ stop: () => end(child, graceMs), kill: () => child.kill("SIGKILL") });
  try {
    const { grpcPort } = await whenServing(child, { timeoutMs: longestStartMs }).catch((error: unknown) => {
      throw new RetortError("Internal", `the check can't be started: ${RetortError.from(error).message}`, { cause: error });
    });
    const controller = connectController(`127.0.0.1:${grpcPort}`, { token });
    try {
      return await work({ controller, name: "this machine" });
    } finally {
      controller.close();
    }
  } finally {
    await end(child, graceMs);
    forget();
  }
}
