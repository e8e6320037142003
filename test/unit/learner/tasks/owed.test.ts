import { create } from "@bufbuild/protobuf";
import { type OpenTask, owed } from "../../../../services/learner/tasks/owed.js";
import type { TaskResults } from "../../../../services/learner/tasks/results-reader.js";
import { RewardSchema, RolloutSchema, Source, TeacherScoreSchema } from "../../../../services/shared/gen/retort/v1/flow_pb.js";

const task = (results: TaskResults, source = Source.STUDENT): OpenTask => ({ task: { source } as OpenTask["task"], results });
const rollout = create(RolloutSchema, { teacher: "math", rewarded: true });

describe("owed()", () => {
  it.each<[string, OpenTask[], Record<string, number>]>([
    ["nothing for no tasks", [], {}],
    ["rollouts of the student", [task({}), task({})], { student: 2 }],
    ["texts of a teacher", [task({}, Source.TEACHER)], { teacher: 1 }],
    ["what is asked of a rollout that is there", [task({ rollout }), task({})], { "teacher math": 1, reward: 1, student: 1 }],
    ["the reward alone where the score is there", [task({ rollout, score: create(TeacherScoreSchema) })], { reward: 1 }],
    ["the score alone where the reward is there", [task({ rollout, reward: create(RewardSchema) })], { "teacher math": 1 }],
    ["nothing of a rollout that asks for neither", [task({ rollout: create(RolloutSchema) })], {}],
  ])("counts %s", (_, open, expected) => {
    expect(Object.fromEntries(owed(open))).toEqual(expected);
  });
});
