import { spawnSync } from "node:child_process";
import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ChaosCluster } from "./cluster.js";
import { watchMemory } from "./memory.js";
import { tableOf } from "./report.js";
import { chaosRun, type Outcome } from "./run.js";
import { type Deed, schedule, shortSchedule } from "./schedule.js";
import { chaosSpec, type Mode } from "./specs.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    mode: { type: "string", default: "sync" },
    faults: { type: "string", default: "60" },
    steps: { type: "string" },
    short: { type: "boolean", default: false },
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
      `${struck.length} faults, held-out ${quality?.toFixed(3) ?? "none"}, fence ${run.fence}`,
  );
  for (const oddity of oddities) say(`  ${oddity}`);
  for (const problem of problems) say(`  DOES NOT HOLD: ${problem}`);
  if (problems.length) await keep(cluster);
}

/** How far the quality of an asynchronous run may be from the undisturbed one's: three deviations of a share of 64 rows. */
const noise = 3 * Math.sqrt(0.25 / 64);

function compared(mode: Mode, disturbed: Outcome, undisturbed: Outcome): string[] {
  if (mode === "sync") return disturbed.digest === undisturbed.digest ? [] : ["the weights are not those of the undisturbed run"];
  const difference = Math.abs((disturbed.quality ?? 0) - (undisturbed.quality ?? 0));
  return difference <= noise ? [] : [`the held-out quality is ${difference.toFixed(3)} away from the undisturbed run's`];
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
    const undisturbed = await chaosRun(cluster, { spec: chaosSpec(mode, "undisturbed", steps), faults: [], paceMs: 0, hangMs, say });
    await tell(cluster, undisturbed);
    problems.push(...undisturbed.problems);
    for (let seed = BigInt(values.seed); seed === BigInt(values.seed) || (!values.short && Date.now() < until); seed++) {
      say(`${mode}, seed ${seed}, ${count} faults`);
      const faults = values.short
        ? shortSchedule.filter(({ deed }) => !without.includes(deed))
        : schedule({ seed, count, without, hold: Number(values.hold) });
      const spec = chaosSpec(mode, `chaos-${seed}`, steps);
      const outcome = await chaosRun(cluster, { spec, faults, paceMs: undisturbed.stepMs, hangMs, say });
      const found = [...outcome.problems, ...(outcome.problems.length ? [] : compared(mode, outcome, undisturbed))];
      await tell(cluster, { ...outcome, problems: found });
      problems.push(...found);
      const { struck, oddities, seconds, quality, digest } = outcome;
      results.push({ mode, seed: String(seed), struck, problems: found, oddities, seconds, quality, same: digest === undisturbed.digest });
      if (outcome.problems.some((problem) => problem.includes("hangs") || problem.includes("no new step"))) break;
    }
  } finally {
    for (const { role, pid } of await cluster.stop()) problems.push(`process ${pid} (${role}) was left behind`);
  }
  if (values.json) await writeFile(values.json, JSON.stringify({ problems, results }, undefined, 1));
  say(problems.length ? `${problems.length} things do not hold` : "all holds");
  return problems.length ? 1 : 0;
}

process.exitCode = values.memory ? Number(!(await watchMemory(Number(values.minutes), say))) : (again() ?? (await chaos()));
