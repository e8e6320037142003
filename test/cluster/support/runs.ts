import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isOver } from "../../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import type { RunEvent } from "../../../services/shared/gen/retort/v1/events_pb.js";
import { type Run, RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { until } from "./commands.js";
import type { Installation } from "./installation.js";

/** Where the image keeps the example that runs here: a spec names paths in the pods. */
const example = "/app/deploy/examples/num2words/test.yaml";

/** A synchronous run with a teacher and a reward: every role has work, and equal runs give equal weights. */
export const spec = (name: string, steps: number, teacher = "model: models/teacher", teachers = 1) =>
  parseSpec(
    `
name: ${name}
seed: 7
student: { model: models/student }
teachers: [{ ${teacher} }]
data: { path: data/train.jsonl }
rollouts: { maxStaleness: 0 }
checkpoints: { everySteps: 5 }
rewards: [{ kind: exact_match }]
phases:
  - preset: rl_gkd
    steps: ${steps}
    batchSize: 32
    samplesPerPrompt: 2
    objective: { alpha: 0.8 }
    sampling: { maxNewTokens: 40 }
roles: { student: { threads: 1 }, teacher: { threads: 1, replicas: ${teachers} }, learner: { threads: 1 }, reward: { threads: 1 } }
`,
    example,
  );

/** Starts a run, and returns its id once it trains. */
export async function begin({ controller }: Installation, name: string): Promise<string> {
  const { run } = await retried(() => controller.startRun({ spec: spec(name, 100_000) }));
  const { runId } = run!;
  await retried(async () => {
    for await (const { event } of controller.watchRun({ runId })) if (event!.event.case === "stepFinished") break;
  });
  return runId;
}

/** What became of a run, and when (milliseconds since it was started). */
export interface Watched {
  readonly run: Run;
  readonly events: readonly RunEvent[];
  readonly firstStepMs: number;
  readonly endMs: number;
}

/** Starts a run and follows it to its end, whatever happens to the controller meanwhile. */
export async function execute(
  { controller }: Installation,
  name: string,
  steps: number,
  onEvent: (event: RunEvent, runId: string) => void = () => {},
  teacher?: string,
  teachers?: number,
): Promise<Watched> {
  const started = Date.now();
  const { run } = await retried(() => controller.startRun({ spec: spec(name, steps, teacher, teachers) }));
  const { runId } = run!;
  const events: RunEvent[] = [];
  let firstStepMs = Number.NaN;
  for (let failures = 0; ; ) {
    try {
      const fromSequence = (events.at(-1)?.sequence ?? 0n) + 1n;
      for await (const { event } of controller.watchRun({ runId, fromSequence })) {
        events.push(event!);
        if (event!.event.case === "stepFinished" && Number.isNaN(firstStepMs)) firstStepMs = Date.now() - started;
        onEvent(event!, runId);
        failures = 0;
      }
      const found = await controller.getRun({ runId });
      if (isOver(found.run!.state)) return { run: found.run!, events, firstStepMs, endMs: Date.now() - started };
    } catch (error) {
      // The controller may be away for a while.
      if (++failures > 400) throw error;
      await sleep(500);
    }
  }
}

/** Calls until the controller answers: after an installation or an upgrade the port-forward may not be there yet. */
async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (tries > 60 || (error as { code?: string }).code !== "Unavailable") throw error;
      await sleep(500);
    }
  }
}

/** The trained student's files, fetched over gRPC: SHA-256 of each by name. */
export function fetchedDigests(installation: Installation, runId: string): Promise<Map<string, string>> {
  return retried(() => fetchDigests(installation, runId));
}

async function fetchDigests({ controller }: Installation, runId: string): Promise<Map<string, string>> {
  const hashes = new Map<string, ReturnType<typeof createHash>>();
  for await (const { part } of controller.getWeights({ runId })) {
    if (part.case !== "chunk") continue;
    const { name, data } = part.value;
    const hash = hashes.get(name) ?? createHash("sha256");
    hashes.set(name, hash.update(data));
  }
  return new Map([...hashes].map(([name, hash]) => [name, hash.digest("hex")]));
}

/** SHA-256 of the trained weights as they lie in the data volume, by the controller's pod. */
export function storedDigest({ kubectl }: Installation, { output }: Run): Promise<string> {
  const program = `const {createHash} = require('crypto'), {readFileSync} = require('fs');
    console.log(createHash('sha256').update(readFileSync('${output}/model.safetensors')).digest('hex'))`;
  return kubectl.run("exec", "deployment/retort", "--", "node", "-e", program);
}

/** Waits until a run has neither pods nor anything that makes some. */
export async function gone({ kubectl }: Installation, runId: string): Promise<void> {
  await until(
    `the pods of ${runId} go`,
    () => kubectl.names("pods,jobs,deployments", `retort/run=${runId}`),
    (left) => left.length === 0,
    180_000,
  );
}

/** Fails unless a run has succeeded, and says why it has not. */
export function succeeded({ run }: Watched): void {
  if (run.state !== RunState.SUCCEEDED) throw new Error(`${run.runId} is ${RunState[run.state]}: ${run.message}`);
}
