import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { findNatsServer } from "../../../services/shared/base/nats-server.js";
import { processSettings } from "../../../services/shared/base/settings.js";
import { Streams, streamsOptions } from "../../../services/shared/base/streams/connection.js";
import { TestNats } from "../../support/servers/nats.js";

describe("a connection to NATS with TLS", () => {
  let directory: string;
  let server: ChildProcess;
  let url: string;

  /** Writes a certificate that is its own authority, and its key. */
  const certify = async (name: string): Promise<void> => {
    const pem = await generate([{ name: "commonName", value: name }], {
      algorithm: "sha256",
      extensions: [
        { name: "basicConstraints", cA: true },
        { name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] },
      ],
    });
    await writeFile(join(directory, `${name}.crt`), pem.cert);
    await writeFile(join(directory, `${name}.key`), pem.private);
  };
  const path = (name: string): string => join(directory, name);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-nats-tls-"));
    for (const name of ["server", "client", "stranger"]) await certify(name);
    const tls = `{ cert_file: "${path("server.crt")}", key_file: "${path("server.key")}", ca_file: "${path("client.crt")}", verify: true }`;
    const config = `host: 127.0.0.1\nport: -1\nports_file_dir: "${directory}"\njetstream { store_dir: "${path("js")}" }\ntls ${tls}\n`;
    await writeFile(path("nats.conf"), config);
    server = spawn(await findNatsServer(console.log), ["-c", path("nats.conf")], { stdio: "ignore" });
    url = await readUrl();
  });
  afterAll(async () => {
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill();
    await gone;
    await rm(directory, { recursive: true });
  });

  async function readUrl(): Promise<string> {
    for (;;) {
      const file = (await readdir(directory)).find((name) => name.endsWith(".ports"));
      const text = file ? await readFile(path(file), "utf8") : "";
      if (text.endsWith("}")) return (JSON.parse(text) as { nats: [string] }).nats[0].replace("127.0.0.1", "localhost");
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  const connect = async (settings: Record<string, string>): Promise<string> => {
    const options = streamsOptions(processSettings.parse({ nats: url, ...settings }), "test");
    const streams = await Streams.connect({ ...options, connectTimeoutMs: 3000 });
    const { tls_required: encrypted } = streams.connection.info!;
    await streams.close();
    return encrypted ? "encrypted" : "plain";
  };
  const own = () => ({ natsTlsCert: path("client.crt"), natsTlsKey: path("client.key") });

  it("is made with the servers' authority and a certificate of its own", async () => {
    expect(await connect({ natsTlsCa: path("server.crt"), ...own() })).toBe("encrypted");
  });

  it.each<[string, () => Record<string, string>]>([
    ["without a certificate", () => ({ natsTlsCa: path("server.crt") })],
    [
      "with a stranger's certificate",
      () => ({ natsTlsCa: path("server.crt"), natsTlsCert: path("stranger.crt"), natsTlsKey: path("stranger.key") }),
    ],
    ["to servers of another authority", () => ({ natsTlsCa: path("stranger.crt"), ...own() })],
  ])("is refused %s", async (_, settings) => {
    await expect(connect(settings())).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("is refused by a server that speaks plaintext only", async () => {
    const plain = await TestNats.start();
    await expect(connect({ nats: plain.url, natsTlsCa: path("server.crt") })).rejects.toThrow(/TLS/i);
    await plain.stop();
  });

  it("needs certificate and key together", async () => {
    await expect(connect({ natsTlsCert: path("client.crt") })).rejects.toThrow("--nats-tls-key");
  });
});
