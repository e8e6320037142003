import { createWriteStream } from "node:fs";
import { join, resolve } from "node:path";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { textTable } from "../../services/cli/terminal/text-table.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { ChaosCluster } from "./cluster.js";
import { signal } from "./processes.js";
import { RunWatch } from "./watch.js";

/** Rows of the dataset, all of which are prompts in flight at once: so many steps' worth. */
const rows = 100_000;
const stepsAhead = 25;

const spec = (data: string): string => `
name: memory
seed: 5
student: { model: models/student }
teachers: [{ model: models/teacher }]
data: { path: ${data} }
rewards: [{ kind: exact_match }]
rollouts: { maxStaleness: ${stepsAhead - 1}, promptsPerTask: 250, stepTimeoutMs: 7200000 }
roles: { student: { replicas: 2, threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
checkpoints: { everySteps: 5 }
phases:
  - preset: rl_gkd
    steps: 100000
    batchSize: ${rows / stepsAhead}
    samplesPerPrompt: 1
    objective: { alpha: 0.5, signal: top_k, topK: 8 }
    sampling: { maxNewTokens: 6 }
`;

/** Resident MiB of one process at one time. */
interface Sample {
  readonly minutes: number;
  readonly mebibytes: number;
}

/**
 * Runs a burst of 100,000 prompts for so many minutes, over and over, with a learner that sleeps half of its time and a reader
 * of its events that never reads; samples the resident memory of every process, and says how fast each grows.
 *
 * @returns false if one grows by more than 1 MiB a minute in the second half
 */
export async function watchMemory(minutes: number, say: (line: string) => void): Promise<boolean> {
  const cluster = await ChaosCluster.start({ remark: say, diskMebibytes: 0 });
  try {
    const runId = await begin(cluster);
    const watch = new RunWatch(cluster, runId);
    const neverReads = (await cluster.controller()).watchRun({ runId })[Symbol.asyncIterator]();
    await neverReads.next();
    const stop = new AbortController();
    const slowing = slow(cluster, stop.signal);
    const samples = await sampleFor(cluster, watch, minutes, say);
    stop.abort();
    await slowing;
    await watch.stop();
    say(`${watch.step} steps of ${rows / stepsAhead} prompts`);
    return report(samples, minutes, say);
  } finally {
    await cluster.stop();
  }
}

async function begin(cluster: ChaosCluster): Promise<string> {
  const data = join(cluster.directory, "burst.jsonl");
  const file = createWriteStream(data);
  for (let i = 0; i < rows; i++) file.write(`${JSON.stringify({ prompt: `${i % 1000}=`, completion: "one" })}\n`);
  file.end();
  await finished(file);
  const parsed = parseSpec(spec(data), resolve("deploy/examples/num2words/memory.yaml"));
  return (await cluster.ask((controller) => controller.startRun({ spec: parsed }))).run!.runId;
}

/** A slow learner: stopped for two seconds of every four. */
async function slow(cluster: ChaosCluster, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const pids = await cluster.pids("learner");
    for (const pid of pids) signal(pid, "SIGSTOP");
    await sleep(2000, undefined, { signal: stop }).catch(() => {});
    for (const pid of pids) signal(pid, "SIGCONT");
    await sleep(2000, undefined, { signal: stop }).catch(() => {});
  }
}

async function sampleFor(
  cluster: ChaosCluster,
  watch: RunWatch,
  minutes: number,
  say: (line: string) => void,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map<string, Sample[]>();
  const began = performance.now();
  for (let told = 0; performance.now() - began < minutes * 60_000 && !watch.over; await sleep(10_000)) {
    const at = (performance.now() - began) / 60_000;
    for (const { role, pid, residentKiB } of await cluster.processes()) {
      const name = `${role} (${pid})`;
      samples.set(name, [...(samples.get(name) ?? []), { minutes: at, mebibytes: residentKiB / 1024 }]);
    }
    if (at < told) continue;
    told++;
    const now = [...samples].map(([name, all]) => `${name.split(" ")[0]} ${all.at(-1)!.mebibytes.toFixed(0)}`);
    say(`${at.toFixed(1).padStart(5)} min  step ${watch.step}  ${now.join("  ")} MiB`);
  }
  return samples;
}

function report(samples: ReadonlyMap<string, readonly Sample[]>, minutes: number, say: (line: string) => void): boolean {
  const rows = [...samples].map(([name, all]) => {
    const half = all.filter((sample) => sample.minutes >= minutes / 2);
    const sizes = all.map(({ mebibytes }) => mebibytes);
    return { name, first: sizes[0]!, last: sizes.at(-1)!, most: Math.max(...sizes), slope: slopeOf(half) };
  });
  say(
    textTable(
      ["process", "first MiB", "last", "most", "MiB/min, second half"],
      rows.map(({ name, first, last, most, slope }) => [name, ...[first, last, most].map((n) => n.toFixed(0)), slope.toFixed(2)]),
      process.stdout,
    ),
  );
  return rows.every(({ slope }) => slope <= 1);
}

/** The slope of the line that fits best, in MiB a minute. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) => samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [x, y] = [mean((s) => s.minutes), mean((s) => s.mebibytes)];
  const spread = mean((s) => (s.minutes - x) ** 2);
  return spread > 0 ? mean((s) => (s.minutes - x) * (s.mebibytes - y)) / spread : 0;
}
