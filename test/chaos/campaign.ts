import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChaosCluster } from "./cluster.js";
import { faultTable } from "./report.js";
import { chaosRun, type Outcome } from "./run.js";
import { briefSchedule, type Deed, kindOf, schedule, shortSchedule } from "./schedule.js";
import { chaosSpec, type Mode } from "./specs.js";

/** What a campaign does; each is a flag of main.ts. */
export interface CampaignOptions {
  readonly mode: Mode;
  readonly minutes: number;
  readonly seed: bigint;
  readonly faults: number;
  readonly steps: number | undefined;
  readonly short: boolean;
  readonly hangMs: number;
  readonly without: readonly Deed[];
  readonly json: string | undefined;
  readonly say: (line: string) => void;
}

const diskMebibytes = 640;

/** Runs and strikes until the time is over; returns what does not hold, one sentence each. */
export async function campaign(options: CampaignOptions): Promise<string[]> {
  const { mode, minutes, seed: first, faults: planned, short, say, json } = options;
  const count = short ? shortSchedule.length : planned;
  const steps = options.steps ?? (short ? 45 : count * (mode === "sync" ? 5 : 12));
  const results: object[] = [];
  const problems = await inCluster(options, async (cluster, without) => {
    const until = Date.now() + minutes * 60_000;
    const undisturbed = await references(cluster, options, steps);
    const problems = undisturbed.flatMap((outcome) => outcome.problems);
    for (let seed = first; seed === first || (!short && Date.now() < until); seed++) {
      say(`${mode}, seed ${seed}, ${count} faults`);
      const faults = short ? shortSchedule.filter(({ deed }) => !without.includes(deed)) : schedule({ seed, count, without });
      const outcome = await struck(cluster, options, { spec: chaosSpec(mode, `chaos-${seed}`, steps, short), faults, undisturbed });
      problems.push(...outcome.problems);
      const same = outcome.digest === undisturbed[0]!.digest;
      results.push({ mode, seed: String(seed), same, ...outcome, run: undefined, events: undefined });
      if (!outcome.ended) break;
    }
    return problems;
  });
  if (json) await writeFile(json, JSON.stringify({ problems, results }, undefined, 1));
  return problems;
}

/** Brief runs one after the other, each struck at any time of its life; ends with the first that does not hold. */
export async function brief(options: CampaignOptions): Promise<string[]> {
  const { minutes, seed: first, hangMs, say } = options;
  return inCluster(options, async (cluster, without) => {
    const until = Date.now() + minutes * 60_000;
    const run = { spec: chaosSpec("sync", "brief", 6), paceMs: 0, hangMs, say: () => {} };
    const undisturbed = await chaosRun(cluster, { ...run, faults: [] });
    const problems: string[] = [...undisturbed.problems];
    for (let seed = first; Date.now() < until && problems.length === 0; seed++) {
      const faults = briefSchedule(seed, undisturbed.seconds * 1000, without);
      const outcome = await chaosRun(cluster, { ...run, faults });
      problems.push(...outcome.problems, ...compared("sync", outcome, [undisturbed]));
      const done = faults.map((fault) => `${kindOf(fault)} +${(fault.delayMs / 1000).toFixed(1)} s`).join(", ");
      say(`seed ${seed}: ${done}; ${outcome.seconds.toFixed(1)} s, fence ${outcome.run.fence} ${outcome.oddities.join("; ")}`);
      for (const problem of problems) say(`  DOES NOT HOLD: ${problem}`);
      if (problems.length) await keep(cluster, say);
    }
    return problems;
  });
}

/** Makes a cluster for some work, and sees that none of its processes stays behind. */
async function inCluster(
  { say, without }: CampaignOptions,
  work: (cluster: ChaosCluster, without: readonly Deed[]) => Promise<string[]>,
): Promise<string[]> {
  const cluster = await ChaosCluster.start({ remark: (sentence) => say(`     ${sentence}`), diskMebibytes });
  const noDisk = typeof cluster.disk === "string";
  if (noDisk) say(`the disk is not filled: ${cluster.disk}`);
  let problems: string[] = [];
  let left: Awaited<ReturnType<ChaosCluster["stop"]>> = [];
  try {
    problems = await work(cluster, noDisk ? [...without, "fill"] : without);
  } finally {
    left = await cluster.stop();
  }
  return [...problems, ...left.map(({ role, pid }) => `process ${pid} (${role}) was left behind`)];
}

/** Undisturbed runs: one, or two where they differ by themselves. */
async function references(cluster: ChaosCluster, { mode, hangMs, say, short }: CampaignOptions, steps: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let i = 0; i < (mode === "sync" ? 1 : 2); i++) {
    outcomes.push(await chaosRun(cluster, { spec: chaosSpec(mode, "undisturbed", steps, short), faults: [], paceMs: 0, hangMs, say }));
    await tell(cluster, outcomes[i]!, say);
  }
  return outcomes;
}

async function struck(
  cluster: ChaosCluster,
  { mode, hangMs, say }: CampaignOptions,
  { spec, faults, undisturbed }: { spec: string; faults: ReturnType<typeof schedule>; undisturbed: readonly Outcome[] },
): Promise<Outcome> {
  const outcome = await chaosRun(cluster, { spec, faults, paceMs: undisturbed[0]!.stepMs, hangMs, say });
  const problems = [...outcome.problems, ...(outcome.ended ? compared(mode, outcome, undisturbed) : [])];
  await tell(cluster, { ...outcome, problems }, say);
  return { ...outcome, problems };
}

async function tell(cluster: ChaosCluster, outcome: Outcome, say: CampaignOptions["say"]): Promise<void> {
  const { run, struck: faults, problems, oddities, seconds, stepMs, quality } = outcome;
  if (faults.length) say(faultTable(faults));
  say(
    `${run.runId}: ${run.step} of ${run.totalSteps} steps in ${seconds.toFixed(0)} s (${stepMs.toFixed(0)} ms a step), ` +
      `${faults.length} faults, ${quality?.toFixed(4) ?? "?"} nats from the teacher, ${run.fence} learners`,
  );
  for (const oddity of oddities) say(`  ${oddity}`);
  for (const problem of problems) say(`  DOES NOT HOLD: ${problem}`);
  if (problems.length) await keep(cluster, say);
}

/** Keeps the logs of a run that did not hold, and says where. */
async function keep({ directory }: ChaosCluster, say: CampaignOptions["say"]): Promise<void> {
  const kept = await mkdtemp(join(tmpdir(), "retort-chaos-kept-"));
  await cp(directory, kept, { recursive: true, filter: (path) => !/jetstream|filler|weights/.test(path) }).catch(() => {});
  say(`  logs: ${kept}`);
}

/** Synchronous: the same weights, bit for bit. Asynchronous: within the noise that undisturbed runs show among themselves. */
function compared(mode: Mode, disturbed: Outcome, undisturbed: readonly Outcome[]): string[] {
  if (mode === "sync") return disturbed.digest === undisturbed[0]!.digest ? [] : ["the weights are not those of the undisturbed run"];
  const known = undisturbed.map(({ quality }) => quality ?? Number.NaN);
  const mean = known.reduce((sum, one) => sum + one, 0) / known.length;
  const noise = Math.max(0.05 * mean, 3 * Math.max(...known.map((one) => Math.abs(one - mean))));
  const difference = Math.abs((disturbed.quality ?? Number.NaN) - mean);
  if (difference <= noise) return [];
  return [
    `the held-out divergence is ${difference.toFixed(4)} from the undisturbed runs' mean ${mean.toFixed(4)}; ${noise.toFixed(4)} is noise`,
  ];
}
