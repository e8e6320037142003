import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { brief, campaign } from "./campaign.js";
import { watchMemory } from "./memory.js";
import type { Deed } from "./schedule.js";
import type { Mode } from "./specs.js";

// Chaos: `npm run chaos -- --minutes 10 --seed 1 --mode sync`. It ends with 1 if something does not hold.
const { values } = parseArgs({
  options: {
    // Runs follow each other, with the next seed each, until this is over. --memory: how long it is watched.
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    // sync | async
    mode: { type: "string", default: "sync" },
    // Faults in one run, and its steps; default: as many as the faults need.
    faults: { type: "string", default: "60" },
    steps: { type: "string" },
    // A minute's worth of faults, for the tests.
    short: { type: "boolean", default: false },
    // Many runs of six steps, each struck at any time of its life.
    brief: { type: "boolean", default: false },
    // A burst of 100,000 prompts instead of faults.
    memory: { type: "boolean", default: false },
    // Seconds without a new step after which a run hangs.
    hang: { type: "string", default: "240" },
    // Deeds to leave out: kill, down, freeze, lose, delay, cut, fill.
    without: { type: "string", multiple: true, default: [] },
    // File for what came out.
    json: { type: "string" },
  },
});

/** In a mount namespace of our own, where one may be had: a small disk can be mounted, and is gone with this process. */
async function again(): Promise<number | undefined> {
  if (process.env.RETORT_CHAOS_ROOM) return undefined;
  const room = ["-Urm", "--propagation", "private"];
  if (spawnSync("unshare", [...room, "true"]).status !== 0) return undefined;
  const env = { ...process.env, RETORT_CHAOS_ROOM: "1" };
  const child = spawn("unshare", [...room, process.execPath, ...process.execArgv, ...process.argv.slice(1)], { stdio: "inherit", env });
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => child.kill(name));
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

async function run(): Promise<number> {
  const say = (line: string): void => console.log(line);
  if (values.memory) return Number(!(await watchMemory(Number(values.minutes), say)));
  const { mode, short, json } = values;
  if (mode !== "sync" && mode !== "async") throw new Error(`--mode is "${mode}"; it must be sync or async`);
  const common = { minutes: Number(values.minutes), seed: BigInt(values.seed), hangMs: 1000 * Number(values.hang) };
  const options = { ...common, without: values.without as Deed[], mode: mode as Mode, short, json, say };
  const problems = await (values.brief ? brief : campaign)({
    ...options,
    faults: Number(values.faults),
    steps: values.steps === undefined ? undefined : Number(values.steps),
  });
  say(problems.length ? `${problems.length} things do not hold` : "all holds");
  return problems.length ? 1 : 0;
}

process.exitCode = (values.memory ? undefined : await again()) ?? (await run());
