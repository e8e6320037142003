import fc from "fast-check";
import { planStep, sampleSeed, split, taskSeed } from "../../../../../services/shared/flow/prompts/plan.js";
import { Purpose } from "../../../../../services/shared/gen/retort/v1/flow_pb.js";
import { runOf } from "../../../../support/runs/run-spec.js";

/** Runs of one to three phases, and datasets to go with them. */
const runs = fc.record({
  seed: fc.nat(1e6),
  rows: fc.integer({ min: 1, max: 50 }),
  promptsPerTask: fc.nat(7),
  students: fc.integer({ min: 1, max: 4 }),
  phases: fc.array(
    fc.record({
      steps: fc.integer({ min: 1, max: 12 }),
      batchSize: fc.integer({ min: 1, max: 20 }),
      lambda: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});
type Case = typeof runs extends fc.Arbitrary<infer T> ? T : never;
const resolved = ({ seed, promptsPerTask, students, phases }: Case) =>
  runOf(phases, { seed, rollouts: { promptsPerTask }, roles: { student: { replicas: students } } });
const steps = (total: number) => Array.from({ length: total }, (_, i) => i + 1);

describe("planStep()", () => {
  it("deals every row once per epoch, over all phases", () => {
    fc.assert(
      fc.property(runs, (given) => {
        const run = resolved(given);
        const dealt = steps(run.totalSteps).flatMap((step) => planStep(run, { count: given.rows }, step).tasks.flat());
        expect(dealt).toHaveLength(
          run.phases.reduce((sum, { firstStep, lastStep, batchSize }) => sum + (lastStep - firstStep + 1) * batchSize, 0),
        );
        for (const epoch of split(dealt, given.rows)) {
          expect(new Set(epoch).size).toBe(epoch.length);
          for (const row of epoch) expect(row >= 0 && row < given.rows).toBe(true);
        }
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it("uses only rows with a completion in steps on the dataset's texts, and every row in the others", () => {
    fc.assert(
      fc.property(runs, fc.integer({ min: 1, max: 50 }), (given, share) => {
        const run = resolved(given);
        const completed = Array.from({ length: Math.min(share, given.rows) }, (_, i) => given.rows - 1 - i);
        for (const step of steps(run.totalSteps)) {
          const { tasks, onPolicy } = planStep(run, { count: given.rows, completed }, step);
          if (onPolicy) expect(tasks).toEqual(planStep(run, { count: given.rows }, step).tasks);
          else {
            expect(tasks.flat()).toHaveLength(planStep(run, { count: given.rows }, step).tasks.flat().length);
            expect(tasks.flat().filter((row) => !completed.includes(row))).toEqual([]);
          }
        }
      }),
      { seed: 4, numRuns: 200 },
    );
  });

  it("is a function of seed and step alone: the order of planning, and what was planned before, change nothing", () => {
    fc.assert(
      fc.property(runs, (given) => {
        const forwards = resolved(given);
        const plans = steps(forwards.totalSteps).map((step) => planStep(forwards, { count: given.rows }, step));
        const again = resolved(given);
        const backwards = steps(again.totalSteps)
          .reverse()
          .map((step) => planStep(again, { count: given.rows }, step));
        expect(backwards.reverse().map(({ tasks, onPolicy }) => [tasks, onPolicy])).toEqual(
          plans.map(({ tasks, onPolicy }) => [tasks, onPolicy]),
        );
      }),
      { seed: 2, numRuns: 100 },
    );
  });

  it("cuts a step into tasks of at most the asked size and the capacity, without losing a prompt", () => {
    fc.assert(
      fc.property(runs, fc.integer({ min: 1, max: 9 }), (given, capacity) => {
        const run = resolved(given);
        for (const step of steps(run.totalSteps)) {
          const { tasks, phase } = planStep(run, { count: given.rows }, step, capacity);
          const most = given.promptsPerTask || Math.ceil(phase.batchSize / given.students);
          for (const task of tasks) expect(task.length).toBeLessThanOrEqual(Math.min(most, capacity));
          expect(tasks.flat()).toEqual(planStep(run, { count: given.rows }, step).tasks.flat());
          expect(tasks.flat()).toHaveLength(phase.batchSize);
        }
      }),
      { seed: 3, numRuns: 100 },
    );
  });

  it("draws lambda once per step: never for 0, always for 1, and its share in between", () => {
    const share = (lambda: number) => {
      const run = runOf([{ steps: 4000, lambda, batchSize: 1 }], { seed: 9 });
      return steps(4000).filter((step) => planStep(run, { count: 10 }, step).onPolicy).length / 4000;
    };
    expect([share(0), share(1)]).toEqual([0, 1]);
    // Four standard deviations of the share.
    expect(Math.abs(share(0.3) - 0.3)).toBeLessThan(4 * Math.sqrt((0.3 * 0.7) / 4000));
  });

  it("goes through the rows in another order in each epoch, and with each seed", () => {
    const order = (seed: number, step: number) =>
      planStep(runOf([{ steps: 5, batchSize: 40 }], { seed }), { count: 40 }, step).tasks.flat();
    expect(order(1, 1)).not.toEqual(order(1, 2));
    expect(order(1, 1)).not.toEqual(order(2, 1));
  });
});

describe("taskSeed() and sampleSeed()", () => {
  it("give every sample of a run a seed of its own", () => {
    const run = runOf([{ steps: 3 }], { seed: 4 });
    const seeds = [Purpose.TRAIN, Purpose.EVALUATE, Purpose.DATASET].flatMap((purpose) =>
      steps(6).flatMap((step) =>
        steps(6).flatMap((task) =>
          steps(4).flatMap((prompt) => [0, 1].map((sample) => sampleSeed(taskSeed(run, purpose, step, task), prompt, sample))),
        ),
      ),
    );
    expect(new Set(seeds).size).toBe(seeds.length);
  });
});
