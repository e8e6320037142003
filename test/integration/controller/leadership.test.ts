import { spawn } from "node:child_process";
import { once } from "node:events";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Leadership } from "../../../services/controller/leadership.js";
import { createLog } from "../../../services/shared/base/log.js";
import { KeyValue } from "../../../services/shared/base/streams/key-value.js";
import { RoleProcess } from "../../support/runs/run-bench.js";
import { eventually, TestNats } from "../../support/servers/nats.js";

const log = createLog("test", { level: "silent", format: "json" });

describe("Leadership", () => {
  let nats: TestNats;
  const open: Leadership[] = [];
  beforeAll(async () => {
    nats = await TestNats.start();
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  afterAll(() => nats.stop());

  const candidate = async (expiryMs = 600) => {
    const made = await Leadership.open({ streams: await nats.connect(), log, renewMs: 100, expiryMs });
    open.push(made);
    return made;
  };
  /** A claim as another machine's controller makes it. */
  const claimOf = async (holder: string) => {
    const kv = await KeyValue.open(await nats.connect(), "retort_runs");
    await kv.put("_controller.leader", `${holder}/1`);
    return kv;
  };

  it("is one controller's until it leaves, and then at once the next one's", async () => {
    const kv = await claimOf("elsewhere/7");
    const waiting = await candidate(60_000);
    let led = false;
    const leading = waiting.acquire().then(() => {
      led = true;
    });
    await sleep(500);
    expect(led).toBe(false);
    await kv.delete("_controller.leader");
    await leading;
    expect(await waiting.leader()).toBe(`${hostname()}, process ${process.pid}`);
    await waiting.close();
    expect(await waiting.leader()).toBeUndefined();
  });

  it("is taken from one that renews nothing any more, not from one that does", async () => {
    const kv = await claimOf("elsewhere/7");
    const waiting = await candidate();
    const leading = waiting.acquire();
    for (let count = 2; count < 12; count++) {
      await sleep(100);
      await kv.put("_controller.leader", `elsewhere/7/${count}`);
    }
    expect(await waiting.leader()).toBe("elsewhere, process 7");
    await leading;
    expect(await waiting.leader()).toBe(`${hostname()}, process ${process.pid}`);
  });

  it("is taken at once from a process of this machine that has gone", async () => {
    const gone = spawn("true");
    await once(gone, "exit");
    await claimOf(`${hostname()}/${gone.pid}`);
    await (await candidate(60_000)).acquire();
  });

  it("that another has taken is lost, and is not given back", async () => {
    const leader = await candidate(60_000);
    await leader.acquire();
    await claimOf("elsewhere/7");
    await expect(leader.lost).rejects.toMatchObject({ code: "Aborted", message: expect.stringContaining("elsewhere, process 7") });
    await leader.close();
    expect(await leader.leader()).toBe("elsewhere, process 7");
    await (await KeyValue.open(await nats.connect(), "retort_runs")).delete("_controller.leader");
  });

  it("outlives an outage of NATS", async () => {
    const leader = await candidate(60_000);
    await leader.acquire();
    await nats.kill();
    await sleep(500);
    await nats.revive();
    const claims = async () => (await KeyValue.open(await nats.connect(), "retort_runs")).get("_controller.leader");
    const before = await claims();
    await eventually("it renews again", async () => (await claims())?.revision !== before?.revision);
    expect(await leader.leader()).toBe(`${hostname()}, process ${process.pid}`);
  });

  it("decides which of two controllers works: the second one when the first has gone", async () => {
    const start = () => new RoleProcess(["--role=controller", `--nats=${nats.url}`, "--port=0", "--http-port=0", "--log-format=json"]);
    const first = start();
    await first.logged(/this controller leads/);
    const second = start();
    await second.logged(/another controller leads/);
    expect(second.log).not.toMatch(/controller is serving/);
    await first.kill();
    await second.logged(/controller is serving/);
    await second.stop();
  });
});
