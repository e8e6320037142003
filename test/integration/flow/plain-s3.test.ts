import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RetortError } from "../../../services/shared/base/errors.js";
import { S3Store } from "../../../services/shared/flow/weights/s3-store.js";
import { fetchedBytes, storeBytes } from "../../support/runs/stored-bytes.js";
import { PlainS3 } from "../../support/servers/plain-s3.js";

describe("S3Store with a server that refuses the SDK's checksums", () => {
  const bytes = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) % 251);
  let server: PlainS3;
  let store: S3Store;
  let scratch: string;
  beforeAll(async () => {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: "user", AWS_SECRET_ACCESS_KEY: "secret-mark", AWS_REGION: "us-east-1" });
    server = await PlainS3.start();
    scratch = await mkdtemp(join(tmpdir(), "retort-s3-"));
    store = new S3Store({ url: "s3://weights/team", endpoint: server.endpoint, partBytes: 5000, scratch });
  });
  afterAll(async () => {
    await server.stop();
    await rm(scratch, { recursive: true });
  });

  it("stores, lists, reads and deletes whole files and files in parts", async () => {
    const [config, model] = [bytes(100, 1), bytes(12_345, 2)];
    await storeBytes(
      store,
      "run",
      3,
      new Map([
        ["config.json", config],
        ["model.safetensors", model],
      ]),
      1n,
    );
    expect(server.refused).toEqual([]);
    expect(await store.list("run")).toEqual([3]);
    const files = await fetchedBytes(store, "run", 3);
    expect(files.get("config.json")!.equals(Buffer.from(config))).toBe(true);
    expect(files.get("model.safetensors")!.equals(Buffer.from(model))).toBe(true);
    expect(await store.manifest("run", 4)).toBeUndefined();
    await store.delete("run", 3);
    await storeBytes(store, "run", 5, new Map([["config.json", config]]), 1n);
    await store.deleteAll("run");
    expect([...server.objects.keys()]).toEqual([]);
    expect(server.refused).toEqual([]);
  });

  it("still finds a file that was changed in the store", async () => {
    await storeBytes(store, "run", 1, new Map([["config.json", bytes(10, 1)]]), 1n);
    server.objects.set("weights/team/run/1/config.json", Buffer.from(bytes(10, 2)));
    await expect(fetchedBytes(store, "run", 1)).rejects.toMatchObject({ code: "DataLoss" });
  });

  it("names the settings, and no key, when it is refused", async () => {
    await server.stop();
    const error = RetortError.from(await store.list("run").catch((thrown: unknown) => thrown));
    expect(error.message).toContain("--s3-endpoint");
    expect(JSON.stringify([error, error.message, error.stack])).not.toContain("secret-mark");
    server = await PlainS3.start();
  });
});
