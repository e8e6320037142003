/**
 * Peak memory of one role's work, each in a process of its own: a teacher that scores, a student that samples, a learner that
 * takes three steps; against the bytes of its weights. Told twice: all that the process held, pages of mapped files among it,
 * which the system may take back; and what was its own alone. And how much a teacher grows over twenty values of k, a student over
 * twenty settings of sampling.
 *
 * `node memory.js DIRECTORY BATCH TOKENS` measures that model in all roles, at that load, half of the tokens of each sequence being its
 * completion.
 */
import { readConfig } from "../../services/shared/ml/models/checkpoint/check.js";
import { parameterCount } from "../../services/shared/ml/models/model-params.js";
import { rss, watchOwnMemory } from "./processes.js";
import { addRow, size } from "./rows.js";
import { type Served, startOurs } from "./served.js";
import { type Load, listed, loads, nameOf, type Role, savedModel, shapes } from "./shapes.js";

/** Element types of the weights, with the bytes of one; int8 counts the scales of its blocks of 32 too. */
const bytesOf = { float32: 4, float16: 2, bfloat16: 2, int8: 1.125 } as const;
type Dtype = keyof typeof bytesOf;

/** The types to measure: RETORT_BENCH_DTYPES, or float32 alone. */
const dtypes = listed("RETORT_BENCH_DTYPES", Object.keys(bytesOf) as Dtype[], ["float32"]);

/** What twenty different requests say. */
const varied: Readonly<Record<Role, (i: number) => object>> = {
  teacher: (i) => ({ kind: "top_k", k: i + 1, temperature: 1 }),
  student: (i) => ({ topK: i + 1, temperature: 1 + i / 50, maxNewTokens: 8 }),
};

/** A model that is measured, with its load. */
interface Measured {
  readonly name: string;
  readonly directory: string;
  readonly parameters: number;
  readonly load: Load;
}

async function inference({ name, directory, parameters, load }: Measured, role: Role, dtype: Dtype): Promise<void> {
  const work = startOurs(`${role} ${name}`, role === "teacher" ? "score" : "sample", { directory, load, dtype });
  const own = watchOwnMemory(work.pid);
  for (let i = 0; i < 3; i++) await work.ask(role === "teacher" ? JSON.stringify({ kind: "top_k", k: 32, temperature: 1 }) : "");
  tell(`${role}, ${name}, ${dtype}`, work, own(), parameters * bytesOf[dtype], parameters);
  const before = rss(work.pid)!;
  for (let i = 0; i < 20; i++) await work.ask(JSON.stringify(varied[role](i)));
  const what = role === "teacher" ? "values of k" : "sampling settings";
  console.log(`  after twenty ${what}: ${size(rss(work.pid))}, grown by ${size(Math.max(0, rss(work.pid)! - before))}`);
  await work.stop();
}

/** A learner takes no scores here: a teacher's whole distributions, where it is asked for them, are held twice in each step. */
async function learner({ name, directory, parameters, load }: Measured): Promise<void> {
  for (const gradientCheckpointing of [false, true]) {
    const work = startOurs(`learner ${name}`, "train", { directory, load, plain: true, gradientCheckpointing });
    const own = watchOwnMemory(work.pid);
    const seconds: number[] = [];
    for (let i = 0; i < 3; i++) seconds.push((await work.ask()).seconds);
    tell(`learner, ${name}, float32${gradientCheckpointing ? ", gradientCheckpointing" : ""}`, work, own(), 4 * parameters, parameters);
    const tokens = load.batch * (load.prompt + load.fresh);
    const beyond = work.peak! - base! - 16 * parameters;
    console.log(
      `  weights, gradients and moments are 16 bytes each; the rest, ${size(beyond)}, is ${(beyond / tokens / 1024).toFixed(0)} KiB for each of ${tokens} tokens; ${Math.min(...seconds).toFixed(1)} s a step`,
    );
    await work.stop();
  }
}

/** @param modelOf the model of a role; a learner trains the student's */
async function allRoles(modelOf: (role: Role) => Promise<Measured>): Promise<void> {
  for (const role of ["teacher", "student"] as const) {
    const model = await modelOf(role);
    for (const dtype of dtypes) await inference(model, role, dtype);
    if (role === "student") await learner(model);
  }
}

/** Prints what a process has held, and per parameter; what Node holds without a model is told apart. */
function tell(work: string, { peak, pid }: Served, own: number | undefined, weights: number, parameters: number): void {
  const above = peak === undefined ? Number.NaN : peak - base!;
  const ratio = `${(above / weights).toFixed(2)}x its weights of ${size(weights)}, ${(above / parameters).toFixed(1)} bytes per parameter`;
  const ownRatio = own === undefined ? "" : ` (${((own - ownBase) / weights).toFixed(2)}x its weights beyond an empty process)`;
  console.log(
    `memory ${work}: peak RSS ${size(peak)}, of its own ${size(own)}${ownRatio}, now ${size(rss(pid))}; beyond an empty process ${ratio}`,
  );
  addRow({ work: `memory, ${work}`, ours: ratio, oursRss: peak });
}

/** What a process with the same code and no model holds. */
const empty = startOurs("nothing", "nothing", {});
const emptyOwn = watchOwnMemory(empty.pid);
await empty.ask();
const base = empty.peak;
const ownBase = emptyOwn() ?? 0;
await empty.stop();
console.log(`memory: an empty process holds ${size(base)}, ${size(ownBase)} its own`);
const [directory, batch, tokens] = process.argv.slice(2);
if (directory) {
  const half = Number(tokens) / 2;
  const load = { batch: Number(batch), prompt: half, fresh: half, repetitions: 3 };
  const model = { name: directory, directory, parameters: parameterCount(await readConfig(directory)), load };
  await allRoles(async () => model);
} else
  for (const shape of shapes)
    await allRoles(async (role) => ({ ...(await savedModel(shape, role)), name: nameOf(shape), load: loads[shape] }));
