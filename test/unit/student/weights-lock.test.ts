import { setImmediate as turn } from "node:timers/promises";
import { WeightsLock } from "../../../services/student/weights-lock.js";

describe("WeightsLock", () => {
  /** Works that say what they do and end when they are told. */
  function works() {
    const lock = new WeightsLock();
    const said: string[] = [];
    const ends = new Map<string, () => void>();
    const work = (name: string) => {
      said.push(name);
      return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
    };
    const end = async (name: string) => {
      ends.get(name)!();
      await turn();
    };
    return { lock, said, work, end };
  }

  it("lets readings overlap", async () => {
    const { lock, said, work, end } = works();
    const all = [lock.reading(() => work("a")), lock.reading(() => work("b"))];
    await turn();
    expect(said).toEqual(["a", "b"]);
    await end("b");
    await end("a");
    expect(await Promise.all(all)).toEqual(["a", "b"]);
  });

  it("keeps whoever is alone from all others, in the order of their coming", async () => {
    const { lock, said, work, end } = works();
    void lock.reading(() => work("a"));
    void lock.alone(() => work("change"));
    void lock.reading(() => work("b"));
    await turn();
    expect(said).toEqual(["a"]);
    await end("a");
    expect(said).toEqual(["a", "change"]);
    await end("change");
    expect(said).toEqual(["a", "change", "b"]);
  });

  it("lets readings in once it is shared, and no change before its end", async () => {
    const { lock, said, work, end } = works();
    void lock.alone((share) => {
      share();
      return work("a");
    });
    void lock.reading(() => work("b"));
    void lock.alone(() => work("change"));
    await turn();
    expect(said).toEqual(["a", "b"]);
    await end("b");
    expect(said).toEqual(["a", "b"]);
    await end("a");
    expect(said).toEqual(["a", "b", "change"]);
  });

  it("goes on behind a work that fails", async () => {
    const lock = new WeightsLock();
    const failing = async () => {
      throw new Error("no");
    };
    await expect(lock.alone(failing)).rejects.toThrow("no");
    await expect(lock.reading(failing)).rejects.toThrow("no");
    expect(await lock.alone(async () => "done")).toBe("done");
  });
});
