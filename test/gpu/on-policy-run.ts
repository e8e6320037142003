import { checkSucceeded } from "../../services/cli/runs/runs.js";
import type { Device } from "../../services/shared/ml/runtime/session.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

/** What an on-policy run came to. */
export interface RunFigures {
  readonly steps: number;
  /** Of the steps after the first. */
  readonly secondsPerStep: number;
  /** Means over the first steps, and over the last. */
  readonly firstDivergence: number;
  readonly lastDivergence: number;
}

/** Steps, and how many of the first and the last make a mean. */
const [steps, few] = [60, 10];

const mean = (list: readonly number[]): number => list.reduce((sum, x) => sum + x, 0) / list.length;

/** An on-policy run of the num2words example whose student, teacher and learner are on a device. @throws if it does not succeed */
export async function onPolicyRun(device: Device): Promise<RunFigures> {
  const cluster = await LocalCluster.start();
  try {
    const roles = ["student", "teacher", "learner"].map((role) => `${role}: { device: ${device} }`).join(", ");
    const phase = `{ preset: on_policy_kd, steps: ${steps}, batchSize: 32, sampling: { maxNewTokens: 32 }, optimizer: { learningRate: 3.0e-3, schedule: linear, warmupSteps: 10 } }`;
    const runId = await cluster.begin(tinySpec("gpu", `roles: { ${roles} }\nphases: [${phase}]`));
    const { run, events } = await cluster.watch(runId);
    checkSucceeded(run);
    const finished = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    const divergences = finished.map(({ divergence }) => divergence);
    return {
      steps: finished.length,
      secondsPerStep: mean(finished.slice(1).map(({ seconds }) => seconds)),
      firstDivergence: mean(divergences.slice(0, few)),
      lastDivergence: mean(divergences.slice(-few)),
    };
  } finally {
    await cluster.stop();
  }
}
