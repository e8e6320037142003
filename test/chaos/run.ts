import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import type { RunEvent } from "../../services/shared/gen/retort/v1/events_pb.js";
import type { Run } from "../../services/shared/gen/retort/v1/run_pb.js";
import { digestOfStudent } from "../support/runs/local-run.js";
import { odditiesOf, problemsOf } from "./checks.js";
import type { ChaosCluster } from "./cluster.js";
import { inject } from "./faults.js";
import { costOf, lineOf, type Struck } from "./report.js";
import { type Fault, kindOf } from "./schedule.js";
import { medianStepMs, RunWatch } from "./watch.js";

/** What became of a run. */
export interface Outcome {
  readonly run: Run;
  /** False if it hung. */
  readonly ended: boolean;
  readonly events: readonly RunEvent[];
  readonly struck: readonly Struck[];
  /** What does not hold. */
  readonly problems: readonly string[];
  /** What nobody expects, though it does no harm. */
  readonly oddities: readonly string[];
  /** SHA-256 of the trained weights; empty if there are none. */
  readonly digest: string;
  /** KL(student || teacher) of the last version on held-out rows, in nats per token. */
  readonly quality: number | undefined;
  /** Milliseconds of a step, in the middle of all. */
  readonly stepMs: number;
  readonly seconds: number;
}

/** How a run is struck. */
export interface ChaosOptions {
  readonly spec: string;
  readonly faults: readonly Fault[];
  /** Milliseconds of an undisturbed step; what a fault costs is measured by it. */
  readonly paceMs: number;
  /** Longest time without a new step; beyond it the run hangs. */
  readonly hangMs: number;
  readonly say: (line: string) => void;
}

/** Runs a spec to its end while the faults of a schedule strike, and tells what does not hold. */
export async function chaosRun(cluster: ChaosCluster, { spec, faults, paceMs, hangMs, say }: ChaosOptions): Promise<Outcome> {
  const began = performance.now();
  const parsed = parseSpec(spec, resolve("deploy/examples/num2words/chaos.yaml"));
  const runId = (await cluster.ask((controller) => controller.startRun({ spec: parsed }))).run!.runId;
  const watch = new RunWatch(cluster, runId);
  const problems: string[] = [];
  try {
    const struck = await strikeAll(cluster, watch, faults, { paceMs, hangMs, say, problems });
    for (let step = -1; !watch.over && watch.step > step; ) {
      step = watch.step;
      await watch.until(step + 1, hangMs);
    }
    const { run } = await cluster.ask((controller) => controller.getRun({ runId }));
    if (!watch.over) problems.push(`the run hangs: no new step within ${hangMs / 1000} s after step ${watch.step}`);
    else problems.push(...(await problemsOf(cluster, run!, watch.events)));
    const evaluations = watch.events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value] : []));
    return {
      run: run!,
      ended: watch.over,
      events: watch.events,
      struck,
      problems,
      oddities: odditiesOf(watch.events),
      digest: run!.output ? await digestOfStudent(run!) : "",
      quality: evaluations.at(-1)?.reverseKl,
      stepMs: medianStepMs(watch.finished),
      seconds: (performance.now() - began) / 1000,
    };
  } finally {
    await watch.stop();
  }
}

interface Strikes extends Pick<ChaosOptions, "paceMs" | "hangMs" | "say"> {
  readonly problems: string[];
}

/** Does the faults one after the other while the run goes on; one that strikes during another waits for nothing. */
async function strikeAll(cluster: ChaosCluster, watch: RunWatch, faults: readonly Fault[], strikes: Strikes): Promise<Struck[]> {
  const { paceMs, hangMs, say, problems } = strikes;
  const struck: Struck[] = [];
  const going: { readonly fault: Fault; readonly step: number; readonly began: number; ended: number }[] = [];
  let over: Promise<unknown> = Promise.resolve();
  const settle = async (): Promise<boolean> => {
    await over;
    const last = Math.max(0, ...going.map(({ ended }) => ended));
    const step = watch.step;
    for (const started = performance.now(); !watch.over && !watch.finished.some(({ at }) => at > last); await sleep(20))
      if (performance.now() - started > hangMs) {
        problems.push(
          `no new step within ${hangMs / 1000} s after ${going.map(({ fault }) => kindOf(fault)).join(" and ")} at step ${step}`,
        );
        return false;
      }
    for (const { fault, step: at, began, ended } of going.splice(0)) {
      struck.push(costOf(fault, at, began, ended, watch, paceMs));
      say(lineOf(struck.at(-1)!, struck.length));
    }
    return true;
  };
  for (const fault of faults) {
    if (fault.afterSteps > 0 && !(await settle())) return struck;
    if (!(await watch.until(watch.step + fault.afterSteps, hangMs))) {
      problems.push(`no new step within ${hangMs / 1000} s after step ${watch.step}, before ${kindOf(fault)}`);
      return struck;
    }
    await sleep(fault.delayMs);
    if (watch.over) break;
    const mark = { fault, step: watch.step, began: performance.now(), ended: performance.now() };
    const { over: end } = await inject(cluster, fault);
    going.push(mark);
    over = Promise.all([over, end.then(() => Object.assign(mark, { ended: performance.now() }))]);
  }
  await settle();
  return struck;
}
