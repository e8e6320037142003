import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "../../services/shared/base/nats-server.js";
import { Streams } from "../../services/shared/base/streams/connection.js";
import { ensureStreams } from "../../services/shared/flow/streams.js";
import { eventually } from "../support/nats.js";
import { describeChart, find, render } from "./support/render.js";

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** A nats-server with the configuration that the chart gives to its pod, and how it is reached. */
interface Served {
  readonly client: string;
  readonly monitor: string;
  stop(): Promise<void>;
}

async function serve(example: string | undefined): Promise<Served> {
  const directory = await mkdtemp(join(tmpdir(), "retort-chart-"));
  const [client, monitor] = [await freePort(), await freePort()];
  const config = find(await render({ example }), "ConfigMap", "retort-nats").data["nats.conf"] as string;
  // Only where it listens and stores differs from the pod.
  const here = config
    .replace("port: 4222", `port: ${client}`)
    .replace("http_port: 8222", `http_port: ${monitor}`)
    .replace("/data", join(directory, "data"));
  await writeFile(join(directory, "nats.conf"), here);
  const server = spawn(await findNatsServer(console.log), ["--config", join(directory, "nats.conf")], { stdio: "ignore" });
  const gone = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const stop = async () => {
    server.kill();
    await gone;
    await rm(directory, { recursive: true });
  };
  const served = { client: `nats://127.0.0.1:${client}`, monitor: `http://127.0.0.1:${monitor}`, stop };
  await eventually("the server is healthy", () => isHealthy(served, "/healthz"));
  return served;
}

const isHealthy = async ({ monitor }: Served, path: string): Promise<boolean> =>
  (await fetch(monitor + path).catch(() => undefined))?.ok ?? false;

describeChart("the chart's NATS", () => {
  let nats: Served | undefined;
  afterEach(async () => nats?.stop());

  it.each([undefined, "laptop", "single-gpu", "multi-gpu-keda"])(
    "has room for Retort's streams and takes its messages: %s",
    async (example) => {
      nats = await serve(example);
      const streams = await Streams.connect({ url: nats.client, name: "test" });
      try {
        await ensureStreams(streams);
        expect(streams.connection.info?.max_payload).toBe(8 * 1024 ** 2);
        expect((await streams.manager.getAccountInfo()).streams).toBe(4);
      } finally {
        await streams.close();
      }
    },
  );

  it("answers the probes of its pod", async () => {
    nats = await serve(undefined);
    const [container] = find(await render(), "StatefulSet", "retort-nats").spec.template.spec.containers;
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"])
      expect([probe, await isHealthy(nats, container[probe].httpGet.path)]).toEqual([probe, true]);
  });
});
