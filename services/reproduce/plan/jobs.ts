import { join } from "node:path";
import { found } from "../../shared/base/found.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { Also, Arm, ClassifierRecipe, Experiment, ModelRecipe, Part, Recipe, SpecInit } from "./experiment.js";
import { digestOf, type Places } from "./places.js";

/** Something to be done once that makes a model, and the jobs whose models it needs. */
interface AnyJob {
  readonly label: string;
  readonly digest: string;
  readonly after: readonly Job[];
  readonly recipe: Recipe;
  /** Where its model goes. */
  readonly output: string;
}

/** A run through the controller. */
export interface RunJob extends AnyJob {
  readonly kind: "run";
  readonly spec: RunSpecValid;
  /** What its student is also measured by. */
  readonly also?: Also;
}

/** A `retort train-classifier`. */
export interface ClassifierJob extends AnyJob {
  readonly kind: "classifier";
  readonly training: ClassifierRecipe;
  /** The run that makes the model that it starts from. */
  readonly teacher: RunJob;
}

/** Anything that makes a model. */
export type Job = ClassifierJob | RunJob;

/** The jobs of an arm, one for each seed. */
export interface ArmJobs {
  readonly part: Part;
  readonly arm: Arm;
  readonly jobs: readonly RunJob[];
}

/** One thread for each process: several runs side by side use the cores better than one run's threads do. */
const roles = { student: { threads: 1 }, teacher: { threads: 1 }, reward: { threads: 1 }, learner: { threads: 1 } };

/** Raised when a task's examples or their split change, so that nothing made from the old ones is used again. */
const datasetVersion = 1;

/** Directory of a recipe's datasets. */
export const dataOf = ({ task, alsoTaught = "", train, sft, variants, domains }: Recipe, places: Places): string =>
  places.data(digestOf(JSON.stringify({ datasetVersion, task, alsoTaught, train, sft, variants, domains })));

const rewardsOf = ({ judge, task }: Recipe) => (judge === "task" ? [{ kind: "task", task }] : []);

/** What a spec says of a recipe's environment, and of its prompts, which then are conversations; nothing without one. */
const environmentOf = ({ environment }: Recipe) => (environment ? { environment } : {});
const chatOf = ({ environment }: Recipe) => (environment ? { chat: true } : {});

/** The class of right completions. */
export const rightLabel = "right";

/** What every arm is rewarded by: the classifier, where there is one, and then the task's own check to be seen beside it. */
const armRewards = (recipe: Recipe, classifier: ClassifierJob | undefined) =>
  classifier
    ? [
        { kind: "classifier", model: classifier.output, label: rightLabel },
        ...rewardsOf(recipe).map((reward) => ({ ...reward, weight: 0 })),
      ]
    : rewardsOf(recipe);

/** @param domain of the teacher, where it learns that alone */
function fromScratch(recipe: Recipe, which: "teacher" | "student", places: Places, domain?: string): RunJob {
  const model: ModelRecipe = recipe[which];
  const data = dataOf(recipe, places);
  const { hiddenSize, intermediateSize, layers, heads, kvHeads, initializerRange } = model;
  const size = { hiddenSize, intermediateSize, layers, heads, kvHeads, initializerRange, maxPositions: recipe.maxPositions };
  const { digest, spec } = places.complete({
    name: `${recipe.name}-${which === "teacher" ? "teacher" : "sft"}${domain ? `-${domain}` : ""}`,
    seed: which === "teacher" ? 1 : 2,
    student: { init: { architecture: "llama", ...size, tokenizer: join(data, "tokenizer") } },
    data: { path: join(data, which === "teacher" ? partOf("all", domain) : "sft.jsonl"), ...chatOf(recipe) },
    ...environmentOf(recipe),
    rewards: rewardsOf(recipe),
    evaluation: { path: join(data, partOf("held-out", domain)), limit: 200 },
    roles,
    phases: [
      {
        preset: "sft",
        steps: model.steps,
        batchSize: model.batchSize,
        sampling: { maxNewTokens: recipe.maxNewTokens },
        optimizer: { learningRate: model.learningRate, schedule: "cosine", warmupSteps: Math.ceil(model.steps / 20) },
      },
    ],
  });
  const label = which === "teacher" ? `${recipe.name}: teacher${domain ? ` of ${domain}` : ""}` : `${recipe.name}: SFT student`;
  return { kind: "run", label, digest, spec, after: [], recipe, output: places.model(digest) };
}

/** A file of a recipe's datasets, or what of it is of a domain. */
const partOf = (part: "all" | "held-out", domain: string | undefined): string => `${part}${domain ? `-${domain}` : ""}.jsonl`;

/** The run that makes a recipe's teacher, or the first of several. */
export const teacherJob = (recipe: Recipe, places: Places, domain = recipe.domains?.[0]): RunJob =>
  fromScratch(recipe, "teacher", places, domain);

/** The runs that make a recipe's teachers, by the names that arms call them. */
const teachersOf = (recipe: Recipe, places: Places): [name: string, job: RunJob][] =>
  recipe.domains?.map((domain) => [domain, teacherJob(recipe, places, domain)]) ?? [["default", teacherJob(recipe, places)]];

/** The run that makes the student that a recipe's arms start from. */
export const sftJob = (recipe: Recipe, places: Places): RunJob => fromScratch(recipe, "student", places);

/** The training of a recipe's classifier, if it has one. */
export function classifierJob(recipe: Recipe, places: Places): ClassifierJob | undefined {
  const { classifier: training, name } = recipe;
  if (!training) return undefined;
  const teacher = teacherJob(recipe, places);
  const digest = digestOf(JSON.stringify({ datasetVersion, teacher: teacher.digest, training }));
  const output = places.model(digest);
  return { kind: "classifier", label: `${name}: classifier`, digest, after: [teacher], teacher, recipe, output, training };
}

/** What an arm's run trains on: rows, and texts that a model writes before step 1. */
function armData(part: Part, arm: Arm, places: Places): SpecInit["data"] {
  const { recipe } = part;
  return {
    ...(recipe.domains && { teacherField: "kind" }),
    path: join(dataOf(recipe, places), `${arm.data ?? "train"}.jsonl`),
    limit: arm.share === undefined ? 0 : Math.max(1, Math.round(recipe.train * arm.share)),
    ...chatOf(recipe),
    generate: arm.written && {
      teacher: arm.written === "start" ? "start" : "default",
      sampling: { temperature: 1, maxNewTokens: recipe.maxNewTokens },
    },
  };
}

/** How an arm's run is measured before and after. */
const armEvaluation = ({ recipe, training }: Part, places: Places): SpecInit["evaluation"] => ({
  path: join(dataOf(recipe, places), "held-out.jsonl"),
  limit: training.rows,
  temperatures: [...(training.temperatures ?? [1])],
  samplesPerPrompt: training.samplesPerPrompt ?? 1,
  passAt: [...(training.passAt ?? [])],
  metric: recipe.metric ?? "exact_match",
  selfBleuUnit: "character",
  ...(recipe.domains && { headroom: true }),
});

/** How an arm's run trains. */
function armPhases({ recipe, training }: Part, arm: Arm): SpecInit["phases"] {
  const steps = Math.max(1, Math.round(training.steps * (arm.stepShare ?? 1)));
  const optimizer = {
    learningRate: arm.learningRate ?? training.learningRate,
    schedule: training.schedule,
    warmupSteps: Math.min(training.warmupSteps, steps - 1),
  };
  return [{ steps, batchSize: training.batchSize, sampling: { maxNewTokens: recipe.maxNewTokens }, optimizer, ...arm.phase }];
}

function armJob(part: Part, arm: Arm, seed: number, places: Places, start: RunJob): RunJob {
  const { recipe } = part;
  const teachers = teachersOf(recipe, places);
  const classifier = classifierJob(recipe, places);
  const writers = arm.written === "start" ? [{ name: "start", model: start.output }] : [];
  const { digest, spec } = places.complete({
    name: recipe.name,
    seed,
    student: { model: start.output },
    teachers: [...teachers.map(([name, { output }]) => ({ name, model: output })), ...writers],
    data: armData(part, arm, places),
    ...environmentOf(recipe),
    rollouts: { maxStaleness: arm.maxStaleness ?? 0 },
    rewards: [...(part.rewards ?? armRewards(recipe, classifier))],
    evaluation: armEvaluation(part, places),
    roles,
    phases: armPhases(part, arm),
  });
  const label = `${recipe.name}: ${arm.name}, seed ${seed}`;
  const after = [...teachers.map(([, job]) => job), start, ...(classifier ? [classifier] : [])];
  return { kind: "run", label, digest, spec, after, recipe, output: places.model(digest), also: part.also };
}

/** Every run of an experiment. Seeds count from 1. */
export function jobsOf({ parts }: Experiment, seeds: number, places: Places): ArmJobs[] {
  return parts.flatMap((part) => {
    const made = new Map<string, readonly RunJob[]>();
    const jobsOfArm = (arm: Arm): readonly RunJob[] => {
      const known = made.get(arm.name);
      if (known) return known;
      const first = arm.from === undefined ? undefined : jobsOfArm(armNamed(part, arm.from));
      const jobs = Array.from({ length: seeds }, (_, i) => armJob(part, arm, i + 1, places, first?.[i] ?? sftJob(part.recipe, places)));
      made.set(arm.name, jobs);
      return jobs;
    };
    return part.arms.map((arm) => ({ part, arm, jobs: jobsOfArm(arm) }));
  });
}

const armNamed = ({ arms, recipe }: Part, wanted: string): Arm =>
  found(
    arms.find(({ name }) => name === wanted),
    `the arm "${wanted}" of ${recipe.name}`,
  );

/** The jobs and everything that they need, each once, needed ones first. */
export function withNeeded(jobs: readonly Job[]): Job[] {
  const ordered = new Map<string, Job>();
  const add = (job: Job): void => {
    if (ordered.has(job.digest)) return;
    job.after.forEach(add);
    ordered.set(job.digest, job);
  };
  jobs.forEach(add);
  return [...ordered.values()];
}
