import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { type PoolMember, TeacherPools } from "../../../services/shared/flow/runs/teacher-pools.js";
import { TestNats } from "../../support/servers/nats.js";

describe("TeacherPools", () => {
  let nats: TestNats;
  let streams: Streams;
  let pools: TeacherPools;
  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect("test");
    pools = await TeacherPools.open(streams);
  });
  afterAll(async () => {
    await streams.close();
    await nats.stop();
  });
  const member = (runId: string, teacher = "default"): PoolMember => ({ runId, teacher });

  it("have each run's teacher in one pool, once", async () => {
    for (const pool of ["first", "second", "second"]) await pools.join(pool, member("moved"));
    await pools.join("second", member("moved", "other"));
    expect(await pools.members("first")).toEqual([]);
    expect(await pools.members("second")).toEqual([member("moved"), member("moved", "other")]);
    await pools.leave("moved");
    expect(await pools.members("second")).toEqual([]);
  });

  it("lose no run where several join and leave at a time", async () => {
    const runs = Array.from({ length: 8 }, (_, n) => `run-${n}`);
    await Promise.all(runs.map((runId) => pools.join("crowd", member(runId))));
    await Promise.all(runs.slice(0, 4).map((runId) => pools.leave(runId)));
    expect((await pools.members("crowd")).map(({ runId }) => runId).sort()).toEqual(runs.slice(4));
  });

  it("tell those that watch who joins and who leaves", async () => {
    await pools.join("seen", member("a"));
    const seen: string[][] = [];
    const done = new AbortController();
    const watching = (async () => {
      for await (const members of pools.watch("seen", done.signal)) {
        seen.push(members.map(({ runId }) => runId));
        if (seen.length === 1) await pools.join("seen", member("b"));
        if (members.length === 2) await pools.leave("a");
        if (seen.length > 1 && members.length === 1) done.abort();
      }
    })();
    await watching.catch(() => {});
    expect([seen[0], seen.at(-1)]).toEqual([["a"], ["b"]]);
  });

  it("are forgotten once no run uses them", async () => {
    await pools.join("empty", member("gone"));
    await pools.leave("gone");
    await pools.join("full", member("here"));
    await pools.forget();
    expect([await pools.members("empty"), await pools.members("full")]).toEqual([[], [member("here")]]);
  });
});
