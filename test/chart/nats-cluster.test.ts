import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import { findNatsServer } from "../../services/shared/base/nats-server.js";
import { readLogin } from "../../services/shared/base/nats-users.js";
import { Streams } from "../../services/shared/base/streams/connection.js";
import { KeyValue } from "../../services/shared/base/streams/key-value.js";
import { ensureStorage, ensureStreams, streamNames } from "../../services/shared/flow/streams.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { eventually } from "../support/servers/nats.js";
import { freePort } from "../support/tools/free-port.js";
import { chartFile, describeChart, find, render } from "./support/render.js";

const names = ["n0", "n1", "n2"] as const;
const roles = ["controller", "learner", "reward", "student", "teacher"];

/** Three nats-servers that are one cluster, with the users that the chart writes for a NATS of one's own. */
class NatsCluster {
  readonly directory: string;
  readonly url: string;
  readonly logins: string;
  readonly #processes: ReadonlyMap<string, ChildProcess>;

  private constructor(directory: string, url: string, processes: ReadonlyMap<string, ChildProcess>) {
    this.directory = directory;
    this.url = url;
    this.logins = join(directory, "logins");
    this.#processes = processes;
  }

  static async start(users: string): Promise<NatsCluster> {
    const directory = await mkdtemp(join(tmpdir(), "retort-cluster-"));
    const passwords = Object.fromEntries(roles.map((role) => [role, `p${randomBytes(12).toString("hex")}`]));
    await mkdir(join(directory, "logins"));
    for (const [role, password] of Object.entries(passwords)) await writeFile(join(directory, "logins", role), password);
    await writeFile(join(directory, "users.conf"), users);
    const env = Object.fromEntries(roles.map((role) => [`RETORT_NATS_PASSWORD_${role.toUpperCase()}`, passwords[role]]));
    const [clients, routes] = [await Promise.all(names.map(freePort)), await Promise.all(names.map(freePort))];
    const binary = await findNatsServer(console.log);
    const processes = new Map<string, ChildProcess>();
    for (const [i, name] of names.entries()) {
      const config = `
server_name: ${name}
listen: 127.0.0.1:${clients[i]}
max_payload: 8MB
jetstream { store_dir: ${JSON.stringify(join(directory, name))}, max_file_store: 20G }
cluster { name: retort, listen: 127.0.0.1:${routes[i]}, routes: [${routes.map((port) => `nats://127.0.0.1:${port}`)}] }
include ./users.conf
`;
      await writeFile(join(directory, `${name}.conf`), config);
      processes.set(name, spawn(binary, ["--config", join(directory, `${name}.conf`)], { stdio: "ignore", env }));
    }
    const servers = clients.map((port) => `127.0.0.1:${port}`);
    // Whoever has no file with its password logs in as the controller.
    const url = [`nats://controller:${passwords.controller}@${servers[0]}`, ...servers.slice(1).map((server) => `nats://${server}`)].join(
      ",",
    );
    return new NatsCluster(directory, url, processes);
  }

  connect(replicas?: number): Promise<Streams> {
    return Streams.connect({ url: this.url, name: "test", login: readLogin(this.logins, "controller"), ...(replicas ? { replicas } : {}) });
  }

  /** Ends a server as a lost machine would. */
  async kill(name: string): Promise<void> {
    const lost = this.#processes.get(name)!;
    const gone = once(lost, "exit");
    lost.kill("SIGKILL");
    await gone;
  }

  async stop(): Promise<void> {
    for (const [name, { exitCode, signalCode }] of this.#processes) if (exitCode === null && signalCode === null) await this.kill(name);
    await rm(this.directory, { recursive: true });
  }
}

describeChart("the values of the README for the chart of the NATS project", () => {
  it("give its servers the users' configuration, and each user's password", async () => {
    const [, section = ""] = /## A NATS cluster\n([\s\S]*?)\n## /.exec(await readFile(chartFile("README.md"), "utf8")) ?? [];
    const { config, container, podTemplate } = parseYaml(/```yaml\n([\s\S]*?)```/.exec(section)![1]!);
    const { data, metadata } = find(await render({ example: "nats-cluster" }), "ConfigMap", "retort-nats-users");
    expect(podTemplate.patch[0].value.configMap.name).toBe(metadata.name);
    expect(`${container.patch[0].value.mountPath}/${Object.keys(data)[0]}`).toBe(join("/etc/nats-config", config.merge.$include));
    const wanted = [...(data["users.conf"] as string).matchAll(/\$(RETORT_NATS_PASSWORD_\w+)/g)].map(([, name]) => name);
    expect(Object.keys(container.env).sort()).toEqual(wanted.sort());
    for (const role of roles) expect(section).toContain(role);
  });
});

describeChart("a NATS cluster of one's own", () => {
  let cluster: NatsCluster;
  beforeAll(async () => {
    const users = find(await render({ example: "nats-cluster" }), "ConfigMap", "retort-nats-users").data["users.conf"] as string;
    cluster = await NatsCluster.start(users);
    await eventually(
      "the servers have elected a leader",
      async () => {
        const streams = await cluster.connect().catch(() => undefined);
        const ready = await streams?.manager.getAccountInfo().then(
          () => true,
          () => false,
        );
        await streams?.connection.close();
        return ready === true;
      },
      60_000,
      500,
    );
  });
  afterAll(() => cluster.stop());

  const replicasOf = async (streams: Streams) => {
    const all = new Map<string, number>();
    for await (const { config } of streams.manager.streams.list()) all.set(config.name, config.num_replicas);
    return all;
  };

  it("takes up what one server has kept: streams and buckets are then on three", async () => {
    const [one, three] = [await cluster.connect(), await cluster.connect(3)];
    try {
      await ensureStreams(one);
      const bucket = await KeyValue.open(one, "retort_runs");
      await bucket.put("kept", "as it was");
      expect(new Set((await replicasOf(one)).values())).toEqual(new Set([1]));
      await ensureStorage(three);
      const found = await replicasOf(three);
      expect([...found].sort()).toEqual([...Object.values(streamNames), "KV_retort_runs"].sort().map((name) => [name, 3]));
      expect((await three.manager.streams.info("KV_retort_runs")).config.allow_direct).toBe(false);
      const again = await KeyValue.open(three, "retort_runs");
      expect(Buffer.from((await again.get("kept"))!.value).toString()).toBe("as it was");
      await again.delete("kept");
    } finally {
      await one.connection.close();
      await three.connection.close();
    }
  });

  it("carries a run through the loss of the server that leads its streams", async () => {
    const before = { ...process.env };
    const settings = { NATS_URL: cluster.url, NATS_LOGINS: cluster.logins, NATS_REPLICAS: "3", WEIGHT_STORE: "nats" };
    for (const [name, value] of Object.entries(settings)) process.env[`RETORT_${name}`] = value;
    const local = await LocalCluster.start();
    try {
      const runId = await local.begin(
        tinySpec("replicated", "phases: [{ preset: on_policy_kd, steps: 8, batchSize: 4, sampling: { maxNewTokens: 8 } }]"),
      );
      let lost = "";
      const { run, events } = await local.watch(runId, async ({ event }) => {
        if (event.case !== "stepFinished" || event.value.step !== 3 || lost) return;
        expect((await replicasOf(local.streams)).get(`OBJ_retort_weights_${runId}`)).toBe(3);
        lost = (await local.streams.manager.streams.info(streamNames.prompts)).cluster!.leader!;
        await cluster.kill(lost);
      });
      expect(names).toContain(lost);
      expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
      const audit = events.flatMap(({ event }) => (event.case === "auditFinished" ? [event.value] : []));
      expect(audit).toMatchObject([{ holds: true, steps: 8 }]);
    } finally {
      await local.stop();
      process.env = before;
    }
  });
});
