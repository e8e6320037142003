import { resolve } from "node:path";
import { experiments } from "../../../../services/reproduce/experiments/table.js";
import { type Part, quickened, type Reading } from "../../../../services/reproduce/plan/experiment.js";
import { jobsOf, sftJob, teacherJob, withNeeded } from "../../../../services/reproduce/plan/jobs.js";
import { digestOf, Places } from "../../../../services/reproduce/plan/places.js";
import { recipes } from "../../../../services/reproduce/plan/recipes.js";
import { tasks } from "../../../../services/shared/tasks/table.js";
import { checkSpec } from "../../../support/runs/check-spec.js";

const places = new Places(resolve("/somewhere"));

/** Arms that a part's figures, grids and orderings speak of. */
function mentioned({ figures, grids, orderings }: Part): Set<string> {
  const names = new Set<string>();
  for (const { series } of figures) for (const { points } of series) for (const { arm } of points) names.add(arm);
  for (const { rows, columns, arm } of grids ?? []) for (const row of rows) for (const column of columns) names.add(arm(row, column));
  const reading: Reading = (arm) => {
    names.add(arm);
    return 0;
  };
  for (const { contrasts } of orderings) for (const { value } of contrasts) value(reading);
  return names;
}

describe.each(Object.values(experiments))("$name", (experiment) => {
  const quick = quickened(experiment);

  it.each([
    ["whole", experiment],
    ["quick", quick],
  ])("has only specs that the controller takes (%s)", (_, one) => {
    const all = withNeeded(jobsOf(one, 2, places).flatMap(({ jobs }) => jobs));
    const jobs = all.filter((job) => job.kind === "run");
    expect(jobs.map(({ label, spec }) => [label, checkSpec(spec)])).toEqual(jobs.map(({ label }) => [label, []]));
  });

  it("needs its teacher and its SFT student first", () => {
    const jobs = withNeeded(jobsOf(quick, 1, places).flatMap(({ jobs }) => jobs));
    const order = jobs.map(({ digest }) => digest);
    for (const { recipe } of quick.parts)
      for (const job of [teacherJob(recipe, places), sftJob(recipe, places)]) expect(order).toContain(job.digest);
    for (const [i, { after }] of jobs.entries()) for (const { digest } of after) expect(order.slice(0, i)).toContain(digest);
  });

  it("speaks only of arms that it has, and reports every arm once", () => {
    for (const part of experiment.parts) {
      const names = part.arms.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      expect([...mentioned(part)].filter((name) => !names.includes(name))).toEqual([]);
    }
  });

  it("has seeds that differ in nothing else", () => {
    for (const { jobs } of jobsOf(quick, 2, places)) {
      const [first, second] = jobs.map(({ spec }) => JSON.stringify(places.json(spec)));
      expect(new Set(jobs.map(({ digest }) => digest)).size).toBe(2);
      expect(first).toContain('"seed":1');
      expect(second).toContain('"seed":2');
    }
  });
});

describe("recipes", () => {
  it.each(recipes)("of $name fit their task", ({ task, alsoTaught, train, sft, maxNewTokens, maxPositions }) => {
    for (const name of [task, ...(alsoTaught ? [alsoTaught] : [])]) {
      const { examples, tokenizer } = tasks[name]!;
      const words = tokenizer();
      const all = examples();
      if (name === task) expect(train).toBeLessThan(all.length);
      const longest = (texts: readonly string[]) => Math.max(...texts.map((text) => words.encode(text).length));
      expect(longest(all.map(({ completion }) => completion)) + 1).toBeLessThanOrEqual(maxNewTokens);
      expect(longest(all.map(({ prompt }) => prompt)) + maxNewTokens).toBeLessThanOrEqual(maxPositions);
    }
    expect(sft).toBeLessThanOrEqual(train);
  });
});

describe("digests", () => {
  it("of every run are those that finished runs are kept under", () => {
    const digests = Object.values(experiments).flatMap((experiment) =>
      [experiment, quickened(experiment)].flatMap((one) =>
        withNeeded(jobsOf(one, 2, places).flatMap(({ jobs }) => jobs)).map(({ label, digest }) => `${one.name}, ${label}: ${digest}`),
      ),
    );
    expect(digests).toHaveLength(578);
    // Changes with a task's examples, a recipe or an arm, and with nothing else: what was run before is then run again.
    expect(digestOf(digests.join("\n"))).toBe("81857c906c10a54d");
  });

  const job = (root: string) => teacherJob(recipes[0]!, new Places(root));

  it("do not depend on where the root is, and depend on the recipe", () => {
    expect(job("/a").digest).toBe(job("/b/c").digest);
    expect(job("/a").output).not.toBe(job("/b/c").output);
    expect(sftJob(recipes[0]!, places).digest).not.toBe(teacherJob(recipes[0]!, places).digest);
  });

  it("let experiments share the runs that are the same", () => {
    const digests = (name: string) => jobsOf(experiments[name]!, 1, places).flatMap(({ jobs }) => jobs.map(({ digest }) => digest));
    const shared = digests("baselines").filter((digest) => digests("divergences").includes(digest));
    // Supervised KD, ImitKD and both on-policy arms.
    expect(shared.length).toBe(4);
  });
});
