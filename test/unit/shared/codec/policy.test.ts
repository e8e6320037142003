import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { RetortError } from "../../../../services/shared/base/errors.js";
import { createLog } from "../../../../services/shared/base/log.js";
import { Policy } from "../../../../services/shared/codec/policy.js";
import type { PolicyAnnouncement, RunStore } from "../../../../services/shared/flow/runs/run-store.js";
import type { WeightStore } from "../../../../services/shared/flow/weights/store.js";
import { eventually } from "../../../support/servers/nats.js";

/** A promise that a test settles. */
function later<T>() {
  let settle: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

/** A learner that announces when it is told to, and a store that answers as it is told to. */
class Learner {
  readonly used: string[] = [];
  /** The versions that were asked for, the first one included. */
  readonly fetched: number[] = [];
  /** What the sampler waits for before it has a version. */
  using: Promise<void> = Promise.resolve();
  readonly taken: string[] = [];
  readonly stop = new AbortController();
  /** What the store has: the bytes of each version, as text. */
  get: (version: number) => Promise<string> = async (version) => `weights ${version}`;
  /** What comes of the comparison of a version's digests. */
  check: (version: number) => Promise<void> = async () => {};
  #announcement = later<PolicyAnnouncement>();
  #heard = later<void>();
  readonly policy: Policy;
  fence = 1n;
  /** The files of a version, and the digest of the model's weights in version 0. */
  files = ["model.safetensors"];
  base = "digest";

  /** The directory that the model took last. */
  from = "";

  constructor(
    readonly directory: string,
    average = false,
  ) {
    const learner = this;
    const runs = {
      async *watchPolicy() {
        while (!learner.stop.signal.aborted) {
          yield await learner.#announcement.promise;
          // Asked for the next one: this one has been taken in.
          const { settle } = learner.#heard;
          [learner.#announcement, learner.#heard] = [later(), later()];
          settle();
        }
      },
    } as unknown as RunStore;
    const store = {
      fetch: (...[id, version, directory, wanted]: Parameters<WeightStore["place"]>) => store.place(id, version, directory, wanted),
      place: async (_: string, version: number, directory: string, wanted: (name: string) => boolean = () => true) => {
        learner.fetched.push(version);
        const text = await learner.get(version);
        await mkdir(directory, { recursive: true });
        for (const name of learner.files.filter(wanted)) {
          await mkdir(dirname(join(directory, name)), { recursive: true });
          await writeFile(join(directory, name), name === "model.safetensors" ? text : "");
        }
        return { checked: learner.check(version), manifest: learner.manifest() };
      },
      manifest: async () => learner.manifest(),
    } as unknown as WeightStore;
    const use = async (from: string) => {
      this.from = from;
      const names = await readdir(from);
      this.used.push((await Promise.all(names.map((name) => readFile(join(from, name), "utf8")))).join());
      this.taken.push(...names);
      await this.using;
    };
    this.policy = new Policy(
      { runId: "run", store, directory, average },
      runs,
      use,
      createLog("test", { level: "silent", format: "json" }),
    );
    void this.policy.follow(this.stop.signal);
  }

  manifest() {
    const digestOf = (name: string) => (name === "model.safetensors" ? this.base : "");
    return { fence: this.fence, files: this.files.map((name) => ({ name, digest: digestOf(name) })) };
  }

  /** The directories of versions that are held. */
  async held(): Promise<string[]> {
    return (await readdir(join(this.directory, "versions")).catch(() => [])).sort();
  }

  async announce(version: number, fence = 1n): Promise<void> {
    this.fence = fence;
    const { promise } = this.#heard;
    this.#announcement.settle({ version, fence });
    await promise;
  }

  /** What a task does: waits until there may be a version, then takes one. */
  async ensure(min: number, max: number, fence?: bigint): Promise<number | undefined> {
    while (await this.policy.announced(fence ?? this.fence, min, max, this.stop.signal)) {
      const version = await this.policy.use(min, max);
      if (version !== undefined) return version;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return undefined;
  }
}

describe("Policy", () => {
  let learner: Learner;
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-policy-"));
    learner = new Learner(join(root, "held"));
    await learner.policy.first(learner.stop.signal);
  });
  afterEach(async () => {
    learner.stop.abort();
    await learner.policy.release();
    await rm(root, { recursive: true, force: true });
  });

  it("fetches a version as soon as it is announced, and keeps the one in use until the next is", async () => {
    await learner.announce(1);
    await learner.ensure(1, 1);
    const busy = later<void>();
    await learner.announce(2);
    await eventually("version 2 is here", async () => (await learner.held()).length === 2);
    expect([learner.fetched, learner.used]).toEqual([[0, 1, 2], ["weights 1"]]);
    learner.using = busy.promise;
    const second = learner.ensure(2, 2);
    await eventually("version 2 is being taken", async () => learner.used.length === 2);
    expect(await learner.held()).toEqual(["1-0", "2-1"]);
    busy.settle();
    expect([await second, learner.fetched]).toEqual([2, [0, 1, 2]]);
    await eventually("version 1 is gone", async () => (await learner.held()).join() === "2-1");
  });

  it("holds one version that nobody has asked for, the newest, and fetches none that was superseded meanwhile", async () => {
    await learner.announce(1);
    await learner.ensure(1, 1);
    const slow = later<string>();
    learner.get = (version) => (version === 2 ? slow.promise : Promise.resolve(`weights ${version}`));
    for (const version of [2, 3, 4]) await learner.announce(version);
    slow.settle("weights 2");
    expect(await learner.ensure(1, 4)).toBe(4);
    expect([learner.fetched, learner.used]).toEqual([
      [0, 1, 2, 4],
      ["weights 1", "weights 4"],
    ]);
    await eventually("the others are gone", async () => (await learner.held()).length === 1);
  });

  it("takes the newest announced version that a task allows, and loads each once", async () => {
    await learner.announce(3);
    expect([await learner.ensure(0, 5), await learner.ensure(1, 3), await learner.ensure(2, 4)]).toEqual([3, 3, 3]);
    await learner.announce(4);
    expect([await learner.ensure(2, 4), await learner.ensure(4, 4)]).toEqual([4, 4]);
    expect(learner.used).toEqual(["weights 3", "weights 4"]);
  });

  it("waits for weights that are slow to come, however tight the bound: no task is turned away", async () => {
    const [asked, slow] = [later<void>(), later<string>()];
    learner.get = (version) => {
      asked.settle();
      return version === 1 ? slow.promise : Promise.resolve(`weights ${version}`);
    };
    const tasks = [learner.ensure(1, 1)];
    await learner.announce(1);
    await asked.promise;
    // The learner is further already when the push of version 1 is done.
    await learner.announce(2);
    slow.settle("weights 1");
    expect(await Promise.all(tasks)).toEqual([1]);
    expect(await learner.ensure(2, 2)).toBe(2);
    expect(learner.used).toEqual(["weights 1", "weights 2"]);
  });

  it("goes on to a newer version when the announced one is deleted while it is loaded", async () => {
    learner.get = async (version) => {
      if (version === 4) throw new RetortError("NotFound", "version 4 of run run was deleted while it was read");
      return `weights ${version}`;
    };
    await learner.announce(4);
    const found = learner.ensure(3, 9);
    await learner.announce(7);
    expect(await found).toBe(7);
    expect(learner.used).toEqual(["weights 7"]);
  });

  it("loads a version anew when a learner that resumed made it anew", async () => {
    await learner.announce(3);
    await learner.ensure(3, 3);
    learner.get = async (version) => `weights ${version} of the second learner`;
    // Its announcement of version 2 came while this student was cut off.
    await learner.announce(3, 2n);
    expect(await learner.ensure(3, 3)).toBe(3);
    expect(learner.used).toEqual(["weights 3", "weights 3 of the second learner"]);
  });

  it("does not take what it was loading for the version that a resumed learner made anew meanwhile", async () => {
    const [asked, slow] = [later<void>(), later<string>()];
    learner.get = () => {
      asked.settle();
      return slow.promise;
    };
    await learner.announce(3);
    const found = learner.policy.use(3, 3);
    await asked.promise;
    learner.get = async (version) => `weights ${version} of the second learner`;
    // Its announcement of version 2 came while this student was cut off.
    await learner.announce(3, 2n);
    slow.settle("weights 3");
    expect(await found).toBeUndefined();
    expect(await learner.ensure(3, 3)).toBe(3);
    expect(learner.used.at(-1)).toBe("weights 3 of the second learner");
  });

  it("says at once that a task's learner has been replaced, also to one that waits for that one's next version", async () => {
    await learner.announce(2);
    const waiting = learner.policy.announced(1n, 5, 6, learner.stop.signal);
    await learner.announce(1, 2n);
    expect(await waiting).toBe(false);
    expect(await learner.policy.announced(1n, 0, 6, learner.stop.signal)).toBe(false);
  });

  it("says that a task's step is over when its learner has announced a later version, whether or not the old ones are kept", async () => {
    await learner.announce(255);
    expect(await learner.policy.announced(1n, 248, 248, learner.stop.signal)).toBe(false);
    expect(await learner.policy.announced(1n, 250, 255, learner.stop.signal)).toBe(true);
  });

  it("waits for the announcement of a learner that has only just taken over, and passes over what the one before still says", async () => {
    await learner.announce(4);
    const waiting = learner.policy.announced(2n, 3, 4, learner.stop.signal);
    await learner.announce(3, 2n);
    expect(await waiting).toBe(true);
    await learner.announce(9, 1n);
    expect(await learner.policy.use(0, 100)).toBe(3);
  });

  it("takes of a version the weights alone, once it has the first: an adapter's, where the run trains one", async () => {
    learner.files = ["config.json", "model.safetensors"];
    await learner.policy.first(learner.stop.signal);
    await learner.announce(0);
    await learner.ensure(0, 0);
    expect(learner.taken).toEqual(["model.safetensors"]);
    learner.files = ["adapter_model.safetensors", "config.json", "model.safetensors"];
    await learner.policy.first(learner.stop.signal);
    await learner.announce(1);
    await learner.ensure(1, 1);
    expect(learner.taken).toEqual(["model.safetensors", "adapter_model.safetensors"]);
  });

  it("takes the average of a version alone where that is the model, and no one else takes it", async () => {
    learner.files = ["average/model.safetensors", "config.json", "model.safetensors"];
    await learner.policy.first(learner.stop.signal);
    expect((await readdir(join(learner.directory, "first"))).sort()).toEqual(["config.json", "model.safetensors"]);
    await learner.announce(1);
    await learner.ensure(1, 1);
    const own = learner.policy.digest;
    const averaged = new Learner(join(root, "averaged"), true);
    averaged.files = learner.files;
    await averaged.policy.first(averaged.stop.signal);
    await averaged.announce(1);
    await averaged.ensure(1, 1);
    averaged.stop.abort();
    expect([learner.taken, averaged.taken]).toEqual([["model.safetensors"], ["model.safetensors"]]);
    expect(averaged.from).toMatch(/average$/);
    expect(averaged.policy.digest).not.toBe(own);
  });

  it("does not put the adapter of a learner that found another base on the base that it has", async () => {
    learner.files = ["adapter_model.safetensors", "model.safetensors"];
    await learner.policy.first(learner.stop.signal);
    await learner.announce(1, 2n);
    expect(await learner.ensure(1, 1)).toBe(1);
    learner.base = "another";
    // The same learner: nobody looks.
    await learner.announce(2, 2n);
    expect(await learner.ensure(2, 2)).toBe(2);
    await learner.announce(1, 3n);
    await expect(learner.ensure(1, 1)).rejects.toMatchObject({ code: "Internal", message: expect.stringContaining("another base model") });
  });

  it("leaves nothing behind when it is released, of a version that is on its way neither", async () => {
    await learner.announce(1);
    await learner.ensure(1, 1);
    const weights = later<string>();
    learner.get = () => weights.promise;
    await learner.announce(2);
    await eventually("version 2 is on its way", async () => learner.fetched.includes(2));
    const released = learner.policy.release();
    weights.settle("weights 2");
    await released;
    expect(await readdir(root)).toEqual([]);
  });

  it("gives up at once when it is stopped, and the task goes back", async () => {
    const waiting = learner.ensure(5, 6);
    learner.stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: "Cancelled", disposition: "giveBack" });
  });

  it("compares digests while the sampler takes the weights, and has the version when both are done", async () => {
    const whole = later<void>();
    learner.check = () => whole.promise;
    await learner.announce(1);
    const found = learner.ensure(1, 1);
    await eventually("version 1 is being taken", async () => learner.used.length === 1);
    expect(learner.policy.version).toBe(-1);
    whole.settle();
    expect([await found, learner.policy.version]).toEqual([1, 1]);
  });

  it("does not have a version whose digests turn out to be others, nor the one before: it fetches what is asked for next", async () => {
    await learner.announce(1);
    await learner.ensure(1, 1);
    learner.check = () => Promise.reject(new RetortError("DataLoss", "the digest is another"));
    // What a damaged file does to the sampler is not what is told.
    learner.using = Promise.reject(new RetortError("InvalidArgument", "no safetensors file"));
    learner.using.catch(() => {});
    await learner.announce(2);
    await expect(learner.ensure(2, 2)).rejects.toMatchObject({ code: "DataLoss" });
    expect([learner.policy.version, await learner.held()]).toEqual([-1, ["1-0"]]);
    [learner.check, learner.using] = [async () => {}, Promise.resolve()];
    expect([await learner.ensure(2, 2), learner.fetched]).toEqual([2, [0, 1, 2, 2]]);
  });

  it("passes on what else is wrong with the weights", async () => {
    learner.get = () => Promise.reject(new RetortError("DataLoss", "the digest is another"));
    await learner.announce(1);
    await expect(learner.ensure(1, 1)).rejects.toMatchObject({ code: "DataLoss" });
  });
});
