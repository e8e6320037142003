import { streamNames } from "../../services/shared/flow/streams.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { NatsCluster } from "../support/servers/nats-cluster.js";

describe("a run over a NATS of three servers", () => {
  it("goes on when the server that leads its streams is lost, and accounts for every sample", async () => {
    const nats = await NatsCluster.start();
    const before = { ...process.env };
    const settings = { NATS_URL: nats.url, NATS_LOGINS: nats.logins, NATS_REPLICAS: "3", WEIGHT_STORE: "nats" };
    for (const [name, value] of Object.entries(settings)) process.env[`RETORT_${name}`] = value;
    const local = await LocalCluster.start();
    try {
      const streams = await nats.connect(3);
      const runId = await local.begin(
        tinySpec("replicated", "phases: [{ preset: on_policy_kd, steps: 8, batchSize: 4, sampling: { maxNewTokens: 8 } }]"),
      );
      let lost = "";
      const { run, events } = await local.watch(runId, async ({ event }) => {
        if (event.case !== "stepFinished" || event.value.step !== 3 || lost) return;
        expect((await streams.manager.streams.info(`OBJ_retort_weights_${runId}`)).config.num_replicas).toBe(3);
        lost = await nats.leaderOf(streamNames.prompts);
        await nats.kill(lost);
      });
      expect(lost).not.toBe("");
      expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
      const audit = events.flatMap(({ event }) => (event.case === "auditFinished" ? [event.value] : []));
      expect(audit).toMatchObject([{ holds: true, steps: 8 }]);
    } finally {
      await local.stop();
      process.env = before;
      await nats.stop();
    }
  });
});
