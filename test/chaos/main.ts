import { spawnSync } from "node:child_process";
import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ChaosCluster } from "./cluster.js";
import { watchMemory } from "./memory.js";
import { tableOf } from "./report.js";
import { chaosRun, type Outcome } from "./run.js";
import { briefSchedule, type Deed, kindOf, schedule, shortSchedule } from "./schedule.js";
import { chaosSpec, type Mode } from "./specs.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    mode: { type: "string", default: "sync" },
    faults: { type: "string", default: "60" },
    steps: { type: "string" },
    short: { type: "boolean", default: false },
    brief: { type: "boolean", default: false },
    hold: { type: "string", default: "1" },
    hang: { type: "string", default: "180" },
    without: { type: "string", multiple: true, default: [] },
    json: { type: "string" },
    memory: { type: "boolean", default: false },
  },
});

const diskMebibytes = 640;

const say = (line: string): void => console.log(line);

/** In a mount namespace of our own, where one may be had: a small disk can be mounted, and is gone with this process. */
function again(): number | undefined {
  if (process.env.RETORT_CHAOS_ROOM) return undefined;
  const env = { ...process.env, RETORT_CHAOS_ROOM: "1" };
  const room = ["-Urm", "--propagation", "private"];
  if (spawnSync("unshare", [...room, "true"]).status !== 0) return undefined;
  return (
    spawnSync("unshare", [...room, process.execPath, ...process.execArgv, ...process.argv.slice(1)], { stdio: "inherit", env }).status ?? 1
  );
}

/** Keeps logs of a run that did not hold, and says where. */
async function keep({ directory }: ChaosCluster): Promise<void> {
  const kept = await mkdtemp(join(tmpdir(), "retort-chaos-kept-"));
  await cp(directory, kept, { recursive: true, filter: (path) => !/jetstream|filler|weights/.test(path) }).catch(() => {});
  say(`  logs: ${kept}`);
}

async function tell(cluster: ChaosCluster, outcome: Outcome): Promise<void> {
  const { run, struck, problems, oddities, seconds, stepMs, quality } = outcome;
  if (struck.length) say(tableOf(struck));
  say(
    `${run.runId}: ${run.step} of ${run.totalSteps} steps in ${seconds.toFixed(0)} s (${stepMs.toFixed(0)} ms a step), ` +
      `${struck.length} faults, ${quality?.toFixed(4) ?? "?"} nats from the teacher, fence ${run.fence}`,
  );
  for (const oddity of oddities) say(`  ${oddity}`);
  for (const problem of problems) say(`  DOES NOT HOLD: ${problem}`);
  if (problems.length) await keep(cluster);
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

async function chaos(): Promise<number> {
  const mode = values.mode as Mode;
  const count = values.short ? shortSchedule.length : Number(values.faults);
  const steps = Number(values.steps ?? count * (mode === "sync" ? 5 : 12));
  const remark = (sentence: string) => say(`     ${sentence}`);
  const cluster = await ChaosCluster.start({ remark, diskMebibytes, controllerFlags: ["--max-restarts", "1000"] });
  const until = Date.now() + Number(values.minutes) * 60_000;
  const hangMs = Number(values.hang) * 1000;
  const problems: string[] = [];
  const results: object[] = [];
  try {
    const without = [...values.without, ...(typeof cluster.disk === "string" ? ["fill"] : [])] as Deed[];
    if (typeof cluster.disk === "string") say(`the disk is not filled: ${cluster.disk}`);
    const undisturbed: Outcome[] = [];
    for (let i = 0; i < (mode === "sync" ? 1 : 2); i++) {
      const options = { spec: chaosSpec(mode, "undisturbed", steps), faults: [], paceMs: 0, hangMs, say };
      undisturbed.push(await chaosRun(cluster, options));
      await tell(cluster, undisturbed[i]!);
      problems.push(...undisturbed[i]!.problems);
    }
    for (let seed = BigInt(values.seed); seed === BigInt(values.seed) || (!values.short && Date.now() < until); seed++) {
      say(`${mode}, seed ${seed}, ${count} faults`);
      const faults = values.short
        ? shortSchedule.filter(({ deed }) => !without.includes(deed))
        : schedule({ seed, count, without, hold: Number(values.hold) });
      const spec = chaosSpec(mode, `chaos-${seed}`, steps);
      const outcome = await chaosRun(cluster, { spec, faults, paceMs: undisturbed[0]!.stepMs, hangMs, say });
      const found = [...outcome.problems, ...(outcome.problems.length ? [] : compared(mode, outcome, undisturbed))];
      await tell(cluster, { ...outcome, problems: found });
      problems.push(...found);
      const { struck, oddities, seconds, quality, digest } = outcome;
      results.push({
        mode,
        seed: String(seed),
        struck,
        problems: found,
        oddities,
        seconds,
        quality,
        same: digest === undisturbed[0]!.digest,
      });
      if (outcome.problems.some((problem) => problem.includes("hangs") || problem.includes("no new step"))) break;
    }
  } finally {
    for (const { role, pid } of await cluster.stop()) problems.push(`process ${pid} (${role}) was left behind`);
  }
  if (values.json) await writeFile(values.json, JSON.stringify({ problems, results }, undefined, 1));
  say(problems.length ? `${problems.length} things do not hold` : "all holds");
  return problems.length ? 1 : 0;
}

/** Brief runs one after the other, each struck at any time of its life. */
async function brief(): Promise<number> {
  const cluster = await ChaosCluster.start({ remark: say, diskMebibytes, controllerFlags: ["--max-restarts", "1000"] });
  const until = Date.now() + Number(values.minutes) * 60_000;
  const hangMs = Number(values.hang) * 1000;
  const without = [...values.without, ...(typeof cluster.disk === "string" ? ["fill"] : [])] as Deed[];
  const problems: string[] = [];
  try {
    const options = { spec: chaosSpec("sync", "brief", 6), paceMs: 0, hangMs, say: () => {} };
    const undisturbed = await chaosRun(cluster, { ...options, faults: [] });
    for (let seed = BigInt(values.seed); Date.now() < until && problems.length === 0; seed++) {
      const faults = briefSchedule(seed, undisturbed.seconds * 1000, without);
      const outcome = await chaosRun(cluster, { ...options, faults });
      const found = [...outcome.problems, ...(outcome.problems.length ? [] : compared("sync", outcome, [undisturbed]))];
      const done = faults.map((fault) => `${kindOf(fault)} +${(fault.delayMs / 1000).toFixed(1)} s`).join(", ");
      say(`seed ${seed}: ${done}; ${outcome.seconds.toFixed(1)} s, fence ${outcome.run.fence} ${outcome.oddities.join("; ")}`);
      for (const problem of found) say(`  DOES NOT HOLD: ${problem}`);
      if (found.length) await keep(cluster);
      problems.push(...found);
    }
  } finally {
    for (const { role, pid } of await cluster.stop()) problems.push(`process ${pid} (${role}) was left behind`);
  }
  say(problems.length ? `${problems.length} things do not hold` : "all holds");
  return problems.length ? 1 : 0;
}

process.exitCode = values.memory
  ? Number(!(await watchMemory(Number(values.minutes), say)))
  : (again() ?? (await (values.brief ? brief() : chaos())));
