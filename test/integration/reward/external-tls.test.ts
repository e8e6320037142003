import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { rewardSettings } from "../../../services/reward/config.js";
import { rewardRole } from "../../../services/reward/role.js";
import { createLog } from "../../../services/shared/base/log.js";
import { Metrics } from "../../../services/shared/base/metrics.js";
import { createClient } from "../../../services/shared/base/rpc/client.js";
import { implement } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { readSettings } from "../../../services/shared/base/settings.js";
import { Scope } from "../../../services/shared/gen/retort/v1/access_pb.js";
import { RewardService } from "../../../services/shared/gen/retort/v1/reward_pb.js";

const log = createLog("test", { level: "silent", format: "json" });
const listen = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e6 };

describe("a reward server behind TLS that asks for a token", () => {
  let directory: string;
  let elsewhere: RpcServer;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-tls-"));
    const pem = await generate([{ name: "commonName", value: "localhost" }], { algorithm: "sha256" });
    await writeFile(join(directory, "ca.pem"), pem.cert);
    const service = implement(RewardService, {
      describe: async () => ({}),
      evaluate: async ({ inputs }) => ({ rewards: inputs.map(({ completion }) => ({ value: completion.length })) }),
    });
    const tls = { cert: Buffer.from(pem.cert), key: Buffer.from(pem.private) };
    elsewhere = new RpcServer([service], { ...listen, tls, access: { grants: [{ token: "secret", scope: Scope.ADMIN }] } }, log);
    await elsewhere.start();
  });
  afterAll(async () => {
    await elsewhere.stop();
    await rm(directory, { recursive: true });
  });

  const ask = async (argv: readonly string[], scheme = "https://") => {
    const settings = readSettings(rewardSettings, argv, {});
    const ports = () => ({ grpcPort: 0, healthPort: 0, metricsPort: 0 });
    const { before, implementations } = rewardRole({ role: "reward", settings, log, metrics: new Metrics("reward"), ports });
    const reward = new RpcServer(implementations, listen, log);
    await reward.start();
    const client = createClient(RewardService, `127.0.0.1:${reward.port}`, { timeoutMs: 5000, maxMessageBytes: 1e6 });
    try {
      const rewards = [{ kind: "external", address: `${scheme}localhost:${elsewhere.port}` }];
      return (await client.evaluate({ inputs: [{ completion: "four" }], rewards })).rewards[0]!.value;
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      client.close();
      await reward.stop();
      for (const service of before) await service.stop!();
    }
  };

  it("judges for who knows its authority and token, and for nobody else", async () => {
    const authority = ["--reward-tls-ca", join(directory, "ca.pem")];
    const named = ["--reward-token-hosts", `other:1, localhost:${elsewhere.port}`];
    expect(await ask([...authority, ...named, "--reward-token", "secret"])).toBe(4);
    expect(await ask([...authority, ...named, "--reward-token", "wrong"])).toBe("Unauthenticated");
    expect(await ask([...named, "--reward-token", "secret"])).toBe("Unavailable");
    expect(await ask([...authority, ...named, "--reward-token", "secret"], "")).toBe("Unavailable");
  });

  it("gets no token unless the operator names it, whatever a spec says", async () => {
    const authority = ["--reward-tls-ca", join(directory, "ca.pem")];
    expect(await ask([...authority, "--reward-token", "secret"])).toBe("Unauthenticated");
    expect(await ask([...authority, "--reward-token", "secret", "--reward-token-hosts", `127.0.0.1:${elsewhere.port}`])).toBe(
      "Unauthenticated",
    );
  });
});
