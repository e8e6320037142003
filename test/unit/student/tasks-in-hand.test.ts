import { create } from "@bufbuild/protobuf";
import { PromptTaskSchema } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { TasksInHand } from "../../../services/student/tasks-in-hand.js";

describe("TasksInHand", () => {
  /** Two prompts of four samples: eight sequences. */
  const task = create(PromptTaskSchema, { prompts: [{}, {}], samplesPerPrompt: 4 });
  const hold = (tasks: TasksInHand, attempt = 1) => {
    let end = () => {};
    const work = new Promise<void>((resolve) => {
      end = resolve;
    });
    const held = tasks.holding(task, attempt, () => work);
    return () => {
      end();
      return held;
    };
  };

  it("has room until more sequences are in hand than there are places", async () => {
    const tasks = new TasksInHand(16);
    expect(tasks.most(0)).toBe(1);
    hold(tasks);
    const end = hold(tasks);
    expect(tasks.most(2)).toBe(3);
    hold(tasks);
    expect(tasks.most(3)).toBe(3);
    await end();
    expect(tasks.most(2)).toBe(3);
  });

  it("has none beside a task that has come before, until that has ended", async () => {
    const tasks = new TasksInHand(64);
    const end = hold(tasks, 2);
    expect(tasks.most(1)).toBe(1);
    await end();
    expect(tasks.most(0)).toBe(1);
    hold(tasks);
    expect(tasks.most(1)).toBe(2);
  });
});
