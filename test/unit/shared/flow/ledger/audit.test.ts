import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { audit } from "../../../../../services/shared/flow/ledger/audit.js";
import { planStep } from "../../../../../services/shared/flow/prompts/plan.js";
import { type StepAccount, StepAccountSchema, type TaskAccountSchema } from "../../../../../services/shared/gen/retort/v1/flow_pb.js";
import { runOf } from "../../../../support/runs/run-spec.js";

const run = runOf([{ preset: "on_policy_kd", steps: 5, batchSize: 4, samplesPerPrompt: 2 }]);
const rows = { count: 10 };
const all = Uint8Array.of(0b1111);

/** A step whose samples have all been trained on, in tasks of two prompts. */
function stepOf(step: number, fence = 1n, fromStep = 0): StepAccount {
  const planned = planStep(run, rows, step, 2).tasks;
  const tasks = planned.map(
    (own, task): MessageInitShape<typeof TaskAccountSchema> => ({
      task,
      rows: [...own],
      samplesPerPrompt: 2,
      trained: Uint8Array.from(all),
    }),
  );
  return create(StepAccountSchema, { runId: "r", step, fence, fromStep, tasks });
}

/** What a learner writes when it begins. */
const begun = (fence: bigint, fromStep: number): StepAccount => create(StepAccountSchema, { runId: "r", step: 0, fence, fromStep });

const steps = (from: number, to: number, fence = 1n): StepAccount[] =>
  Array.from({ length: to - from }, (_, i) => stepOf(from + i + 1, fence, from));

const check = (accounts: readonly StepAccount[], lastStep = 5, known: typeof rows | undefined = rows) =>
  audit(accounts, { run, lastStep, rows: known, learners: 1 });

describe("audit()", () => {
  it("holds where every sample of every step was trained on", () => {
    expect(check(steps(0, 5))).toMatchObject({
      holds: true,
      steps: 5,
      samples: 40n,
      trained: 40n,
      failed: 0n,
      repeatedSteps: 0,
      problems: [],
    });
  });

  it("counts samples with another outcome by their reasons", () => {
    const accounts = steps(0, 5);
    const task = accounts[2]!.tasks[1]!;
    task.trained = Uint8Array.of(0b0110);
    task.outcomes.push(
      ...create(StepAccountSchema, {
        tasks: [
          {
            outcomes: [
              { prompt: 0, sample: 0, reason: "too long" },
              { prompt: 1, sample: 1, reason: "too long" },
            ],
          },
        ],
      }).tasks[0]!.outcomes,
    );
    expect(check(accounts)).toMatchObject({ holds: true, samples: 40n, trained: 38n, failed: 2n, failures: { "too long": 2n } });
  });

  it("counts what a later learner trained again as part of the student once, and tells how much that was", () => {
    // The first was lost behind step 4, and the second went on from the checkpoint of step 2.
    const accounts = [...steps(0, 4, 1n), ...steps(2, 5, 2n)];
    expect(check(accounts)).toMatchObject({ holds: true, steps: 5, samples: 40n, repeatedSteps: 2 });
  });

  it.each<[string, (accounts: StepAccount[]) => StepAccount[], RegExp]>([
    ["a step is missing", (a) => a.filter(({ step }) => step !== 3), /step 3: it was trained, and nothing is recorded/],
    ["the last step is missing", (a) => a.slice(0, -1), /step 5: it was trained, and nothing is recorded/],
    ["a learner goes on behind a step that nobody trained", (a) => [...a.slice(0, 1), ...steps(3, 5, 2n)], /step 2: .*nothing is recorded/],
    ["a step was trained twice by one learner", (a) => [...a, stepOf(2)], /step 2: learner 1 trained it twice/],
    [
      "a sample has no outcome",
      (a) => mapTask(a, (task) => (task.trained = Uint8Array.of(0b1011))),
      /step 2, task 0, prompt 1, sample 0: it has no outcome/,
    ],
    [
      "a sample was trained on and failed",
      (a) => mapTask(a, (task) => task.outcomes.push({ $typeName: "retort.v1.SampleOutcome", prompt: 0, sample: 1, reason: "odd" })),
      /step 2, task 0, prompt 0, sample 1: it has more than one outcome/,
    ],
    [
      "an outcome is none of the task's samples",
      (a) => mapTask(a, (task) => task.outcomes.push({ $typeName: "retort.v1.SampleOutcome", prompt: 7, sample: 0, reason: "odd" })),
      /prompt 7, sample 0: it has an outcome, and was not issued/,
    ],
    ["a task is recorded twice", (a) => mapTask(a, (_, account) => (account.tasks[1]!.task = 0)), /task 0 is recorded twice/],
    ["a prompt was left out of its step", (a) => mapTask(a, (task) => task.rows.pop()), /issued 3 prompts, and its plan has 4/],
    ["another row was issued", (a) => mapTask(a, (task) => (task.rows[0] = (task.rows[0]! + 1) % 10)), /issued other rows of the dataset/],
    ["a step is beyond the run", (a) => [...a, { ...stepOf(5), step: 6 }], /step 6: the run has 5 steps/],
  ])("does not hold where %s", (_, harm, problem) => {
    const { holds, problems } = check(harm(steps(0, 5)));
    expect(holds).toBe(false);
    expect(problems.join("\n")).toMatch(problem);
  });

  it("holds for any history of learners that were lost and went on from a step they had reached", () => {
    const lives = fc.array(fc.record({ from: fc.nat(5), length: fc.integer({ min: 0, max: 5 }) }), { maxLength: 6 });
    fc.assert(
      fc.property(lives, (list) => {
        const accounts: StepAccount[] = [];
        let reached = 0;
        let fence = 0n;
        for (const { from, length } of [...list, { from: 5, length: 5 }]) {
          fence++;
          const start = Math.min(from, reached);
          reached = Math.min(5, start + length);
          accounts.push(begun(fence, start), ...steps(start, reached, fence));
        }
        // The last one goes on to the end.
        fence++;
        accounts.push(begun(fence, reached), ...steps(reached, 5, fence));
        expect(check(accounts).problems).toEqual([]);
        const lost = accounts.findLastIndex(({ step }) => step === 5);
        if (lost >= 0) expect(check(accounts.filter((_, i) => i !== lost)).holds).toBe(false);
      }),
    );
  });
});

function mapTask(accounts: StepAccount[], change: (task: StepAccount["tasks"][number], account: StepAccount) => void): StepAccount[] {
  change(accounts[1]!.tasks[0]!, accounts[1]!);
  return accounts;
}
