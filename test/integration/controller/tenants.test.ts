import { Tenants } from "../../../services/controller/tenants.js";
import { grantsOf } from "../../../services/shared/base/rpc/access.js";
import { type Client, createClient } from "../../../services/shared/base/rpc/client.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import type { RunSpec } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { ControllerBench } from "../../support/runs/controller-bench.js";
import { example } from "../../support/runs/run-bench.js";

const tokens = {
  admin: "the-operator's-own-token",
  vision: "vision-0123456789ab",
  speech: "speech-0123456789ab",
  guest: "guest-0123456789abc",
};
const tenants = new Tenants({
  vision: { token: tokens.vision, quota: { runs: 2, processes: 7 } },
  speech: { token: tokens.speech },
  guest: { token: tokens.guest, scope: "read" },
});

const specOf = (name: string, students = 1): RunSpec =>
  parseSpec(
    `
name: ${name}
student: { model: models/student }
teachers: [{ model: models/teacher }]
data: { path: data/train.jsonl }
roles: { student: { replicas: ${students} } }
phases: [{ preset: on_policy_kd, steps: 4, sampling: { maxNewTokens: 16 } }]`,
    example("spec.yaml"),
  );

describe("tenants of one controller", () => {
  let bench: ControllerBench;
  let clients: Record<keyof typeof tokens, Client<typeof ControllerService>>;
  beforeAll(async () => {
    bench = await ControllerBench.start({ access: { grants: grantsOf({ token: tokens.admin }, tenants.grants), maxCalls: 100 } }, tenants);
    clients = Object.fromEntries(
      Object.entries(tokens).map(([name, token]) => [
        name,
        createClient(ControllerService, bench.address, { timeoutMs: 60_000, maxMessageBytes: 1e7, token }),
      ]),
    ) as typeof clients;
  });
  afterAll(async () => {
    for (const client of Object.values(clients)) client.close();
    await bench.stop();
  });
  const start = async (who: keyof typeof tokens, name: string, students = 1) =>
    (await clients[who].startRun({ spec: specOf(name, students) })).run!;

  it("own the runs that their tokens start, and steer nobody else's", async () => {
    const [own, other, nobodys] = [await start("vision", "own"), await start("speech", "other"), await start("admin", "nobodys")];
    expect([own.owner, other.owner, nobodys.owner]).toEqual(["vision", "speech", ""]);
    const { runs } = await clients.guest.listRuns({});
    expect(runs.map(({ owner }) => owner).sort()).toEqual(["", "speech", "vision"]);
    expect((await clients.guest.listRuns({ owner: "speech" })).runs.map(({ runId }) => runId)).toEqual([other.runId]);
    for (const { runId, owner } of [other, nobodys]) {
      const refused = {
        code: "PermissionDenied",
        message: expect.stringMatching(`^run ${runId} ${owner ? "is speech's" : "has no owner"}, and this token is vision's`),
      };
      await expect(clients.vision.pauseRun({ runId })).rejects.toMatchObject(refused);
      await expect(clients.vision.stopRun({ runId, now: true })).rejects.toMatchObject(refused);
      await expect(clients.vision.resumeRun({ runId })).rejects.toMatchObject(refused);
      await expect(clients.vision.getWeights({ runId })[Symbol.asyncIterator]().next()).rejects.toMatchObject(refused);
      expect((await bench.runs.get(runId)).state).toBe(RunState.PENDING);
    }
    await expect(clients.guest.startRun({ spec: specOf("guests") })).rejects.toMatchObject({ code: "PermissionDenied" });
    await clients.vision.stopRun({ runId: own.runId, now: true });
    await clients.admin.stopRun({ runId: other.runId, now: true });
    await clients.admin.stopRun({ runId: nobodys.runId, now: true });
  });

  it("have what their quotas give them, and are told what is used and what to do", async () => {
    const [first, second] = await Promise.allSettled([start("vision", "first"), start("vision", "second"), start("vision", "third")]).then(
      (all) => {
        const refused = all.flatMap((one) => (one.status === "rejected" ? [one.reason as Error] : []));
        expect(refused).toHaveLength(1);
        expect(refused[0]).toMatchObject({
          code: "ResourceExhausted",
          message: expect.stringMatching(
            /^the quota of vision is 2 runs at a time; 2 are in use \(\S+, \S+\), and this run takes 1: wait until a run is over, stop one \(retort stop RUN\), ask for a larger quota$/,
          ),
        });
        return all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      },
    );
    await clients.vision.stopRun({ runId: first!.runId, now: true });
    await expect(start("vision", "wide", 3)).rejects.toThrow(
      /is 7 processes at a time; 3 are in use \(\S+\), and this run takes 5: .*lower its replicas/,
    );
    await expect(start("vision", "wider", 20)).rejects.toThrow(/this run takes 22: lower its replicas \(roles\), ask for a larger quota$/);
    const other = await start("vision", "other");
    await expect(clients.vision.resumeRun({ runId: first!.runId })).rejects.toMatchObject({ code: "ResourceExhausted" });
    expect((await start("speech", "unbounded", 20)).owner).toBe("speech");
    for (const { runId } of [second!, other]) await clients.vision.stopRun({ runId, now: true });
    await clients.vision.resumeRun({ runId: first!.runId });
  });
});
