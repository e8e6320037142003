import { setImmediate as turn } from "node:timers/promises";
import { studentSettings } from "../../../services/student/config.js";
import { StudentModel } from "../../../services/student/student-model.js";

// Who may use the model when; what it samples is the sampler's test.
describe("work under certain weights", () => {
  let model: StudentModel;
  beforeAll(() => {
    model = new StudentModel(studentSettings.parse({}));
  });
  afterAll(() => model.close());

  /** Weights by their number, and works that end when they are told to. */
  const start = () => {
    const log: string[] = [];
    let inUse = -1;
    const work = (name: string, version: number, { use = async (): Promise<number | undefined> => version, isAlone = false } = {}) => {
      let end: () => void = () => {};
      const ended = new Promise<void>((resolve) => {
        end = resolve;
      });
      const wanted = {
        isAlone,
        isInUse: () => inUse === version,
        use: async () => {
          const used = await use();
          if (used !== undefined) inUse = used;
          return used;
        },
      };
      const done = model.under(wanted, async (version) => {
        log.push(`${name} begins with ${version}`);
        await ended;
        return name;
      });
      return { done, end };
    };
    const settled = async () => {
      for (let i = 0; i < 10; i++) await turn();
      return log;
    };
    return { work, settled };
  };

  it("goes on beside other work under the same ones", async () => {
    const { work, settled } = start();
    const [a, b] = [work("a", 0), work("b", 0)];
    expect(await settled()).toEqual(["a begins with 0", "b begins with 0"]);
    b.end();
    expect(await b.done).toBe("b");
    a.end();
    expect(await a.done).toBe("a");
  });

  it("waits for all work under others, and what comes later waits for it", async () => {
    const { work, settled } = start();
    const [a, b] = [work("a", 0), work("b", 0)];
    const newer = work("newer", 1);
    const older = work("older", 0);
    a.end();
    await a.done;
    expect(await settled()).toEqual(["a begins with 0", "b begins with 0"]);
    b.end();
    expect((await settled()).slice(2)).toEqual(["newer begins with 1"]);
    newer.end();
    expect((await settled()).slice(3)).toEqual(["older begins with 0"]);
    older.end();
    await Promise.all([newer.done, older.done]);
  });

  it("goes on alone where it asks for that: what comes later waits, under the same weights too", async () => {
    const { work, settled } = start();
    const before = work("before", 0);
    const alone = work("alone", 0, { isAlone: true });
    const after = work("after", 0);
    expect(await settled()).toEqual(["before begins with 0"]);
    before.end();
    expect((await settled()).slice(1)).toEqual(["alone begins with 0"]);
    alone.end();
    expect((await settled()).slice(2)).toEqual(["after begins with 0"]);
    after.end();
    await Promise.all([before.done, alone.done, after.done]);
  });

  it("isn't done where its weights can't be had, or fail; others go on", async () => {
    const { work, settled } = start();
    const gone = work("gone", 3, { use: async () => undefined });
    expect(await gone.done).toBeUndefined();
    const broken = work("broken", 4, {
      use: async () => {
        throw new Error("the store is away");
      },
    });
    await expect(broken.done).rejects.toThrow("the store is away");
    const next = work("next", 0);
    expect(await settled()).toEqual(["next begins with 0"]);
    next.end();
    await next.done;
  });
});
