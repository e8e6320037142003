import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fetchSnapshot, pinnedTo } from "../../../services/shared/base/remote/hub-snapshot.js";
import { type HubContent, TestHub } from "../../support/servers/hub.js";

const weights = Buffer.from(Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) % 251));
const files = new Map<string, HubContent>([
  ["README.md", { bytes: Buffer.from("# a model") }],
  ["config.json", { bytes: Buffer.from('{"model_type":"llama"}') }],
  ["empty.json", { bytes: Buffer.alloc(0) }],
  ["model.safetensors", { bytes: weights, large: true }],
  ["sub/config.json", { bytes: Buffer.from("{}") }],
]);
const reference = "hf://someone/a-model";
const wanted = (path: string) => path !== "README.md";

describe("fetchSnapshot()", () => {
  let home: string;
  let hub: TestHub;
  const env = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({ HF_HOME: home, HF_ENDPOINT: hub.url, ...more });
  const blobs = () => readdir(join(home, "hub/models--someone--a-model/blobs"));

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "retort-hub-"));
    hub = await TestHub.start("someone/a-model", files);
  });
  afterEach(async () => {
    await hub.stop();
    await rm(home, { recursive: true });
  });

  it("lays the wanted files where Hugging Face's libraries look for them, once", async () => {
    const seen: [number, number][] = [];
    const directory = await fetchSnapshot(reference, { wanted, env: env(), onProgress: (done, total) => seen.push([done, total]) });
    expect(directory).toBe(join(home, "hub/models--someone--a-model/snapshots", hub.commit));
    expect((await readdir(directory, { recursive: true })).sort()).toEqual([
      "config.json",
      "empty.json",
      "model.safetensors",
      "sub",
      "sub/config.json",
    ]);
    expect(weights.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
    expect(await readlink(join(directory, "sub/config.json"))).toMatch(/^\.\.\/\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
    expect(await readFile(join(home, "hub/models--someone--a-model/refs/main"), "utf8")).toBe(hub.commit);
    expect((await blobs()).every((name) => /^[0-9a-f]+$/.test(name))).toBe(true);
    const total = weights.length + 22 + 2;
    expect(seen.at(-1)).toEqual([total, total]);
    const before = hub.fetched.length;
    expect(await fetchSnapshot(`${reference}@${hub.commit}`, { wanted, env: env() })).toBe(directory);
    expect(hub.fetched).toHaveLength(before);
  });

  it("goes on where the connection was cut, in the same call and in a later one", async () => {
    hub.faults.set("model.safetensors", [{ cutAt: 1_000_000 }, { status: 503 }]);
    const directory = await fetchSnapshot(reference, { wanted, env: env() });
    expect(weights.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
    const asked = hub.fetched.filter((path) => path.startsWith("model.safetensors"));
    expect(asked).toHaveLength(3);
    expect(asked[2]).toMatch(/^model\.safetensors bytes=[1-9]\d+-$/);
  });

  it("goes on where another process was ended", async () => {
    await fetchSnapshot(reference, { wanted, env: env() });
    const digest = (await blobs()).find((name) => name.length === 64)!;
    const blob = join(home, "hub/models--someone--a-model/blobs", digest);
    await rm(blob);
    await writeFile(`${blob}.incomplete`, weights.subarray(0, 2_000_000));
    // Its lock is left, too.
    await writeFile(`${blob}.lock`, `${hostname()} 999999999`);
    const directory = await fetchSnapshot(reference, { wanted, env: env() });
    expect(hub.fetched.at(-1)).toBe("model.safetensors bytes=2000000-");
    expect(weights.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
  });

  it("fetches each file once for two that ask at the same time", async () => {
    const [one, other] = await Promise.all([1, 2].map(() => fetchSnapshot(reference, { wanted, env: env() })));
    expect(one).toBe(other);
    expect(hub.fetched.sort()).toEqual(["config.json", "model.safetensors", "sub/config.json"]);
  });

  it("keeps no bytes that aren't what the hub says they are", async () => {
    hub.faults.set("model.safetensors", [{ bytes: Buffer.from(weights).fill(1, 5, 6) }]);
    await expect(fetchSnapshot(reference, { wanted, env: env() })).rejects.toMatchObject({
      code: "DataLoss",
      message: expect.stringMatching(/^model\.safetensors .* has the digest .*, and should have [0-9a-f]{64}:/),
    });
    expect((await blobs()).filter((name) => name.startsWith("model") || name.endsWith(".incomplete"))).toEqual([]);
    const directory = await fetchSnapshot(reference, { wanted, env: env() });
    expect(weights.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
  });

  it("takes what it has where the hub can't be reached, or isn't to be asked", async () => {
    const directory = await fetchSnapshot(reference, { wanted, env: env() });
    const before = hub.fetched.length;
    expect(await fetchSnapshot(reference, { wanted, env: env({ HF_HUB_OFFLINE: "1" }) })).toBe(directory);
    expect(await fetchSnapshot(reference, { wanted, env: env({ HF_ENDPOINT: "http://127.0.0.1:9" }) })).toBe(directory);
    expect(hub.fetched).toHaveLength(before);
    await expect(fetchSnapshot("hf://someone/other", { wanted, env: env({ HF_HUB_OFFLINE: "1" }) })).rejects.toMatchObject({
      code: "Unavailable",
      message: "hf://someone/other: HF_HUB_OFFLINE is set, and it isn't in the cache",
    });
  });

  it("fetches one file, or one folder", async () => {
    expect(await readFile(await fetchSnapshot(`${reference}/config.json`, { wanted, env: env() }), "utf8")).toBe('{"model_type":"llama"}');
    expect(await readdir(await fetchSnapshot(`${reference}/sub`, { wanted, env: env() }))).toEqual(["config.json"]);
    expect(hub.fetched).toEqual(["config.json", "sub/config.json"]);
  });

  it("fetches of weights the heads alone where a model is only looked at, and all of it later", async () => {
    const head = Buffer.from('{"w":{"dtype":"F32","shape":[700000],"data_offsets":[0,2800000]}}');
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(head.length));
    const whole = Buffer.concat([length, head, Buffer.alloc(2_800_000, 7)]);
    const other = await TestHub.start("someone/a-model", new Map([...files, ["model.safetensors", { bytes: whole, large: true }]]));
    try {
      const own = env({ HF_ENDPOINT: other.url });
      const directory = await fetchSnapshot(reference, { wanted, env: own, headsOnly: true, mostBytes: 1000 });
      const seen = await readFile(join(directory, "model.safetensors"));
      expect(seen.subarray(0, 8 + head.length).equals(whole.subarray(0, 8 + head.length))).toBe(true);
      expect([seen.length, seen.subarray(8 + head.length).every((byte) => byte === 0)]).toEqual([whole.length, true]);
      expect(await fetchSnapshot(reference, { wanted, env: own })).toBe(directory);
      expect(whole.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
      // What is whole isn't replaced by its head.
      await fetchSnapshot(reference, { wanted, env: own, headsOnly: true });
      expect(whole.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
    } finally {
      await other.stop();
    }
  });

  it("refuses heads of what is no safetensors file, and more than may be fetched", async () => {
    await expect(fetchSnapshot(reference, { wanted, env: env(), headsOnly: true })).rejects.toMatchObject({
      code: "DataLoss",
      message: expect.stringMatching(/^model\.safetensors .* is no safetensors file/),
    });
    await expect(fetchSnapshot(reference, { wanted, env: env(), mostBytes: 2_000_000 })).rejects.toMatchObject({
      code: "ResourceExhausted",
      retry: "never",
      message: expect.stringMatching(/^what is to be fetched takes .*, and --max-fetch-bytes allows /),
    });
  });

  it("says which commit it has fetched", async () => {
    const place = await fetchSnapshot(`${reference}/sub`, { wanted, env: env() });
    expect(pinnedTo(`${reference}/sub`, place)).toBe(`hf://someone/a-model@${hub.commit}/sub`);
    expect(await fetchSnapshot(pinnedTo(`${reference}/sub`, place), { wanted, env: env() })).toBe(place);
  });

  it.each([
    ["hf://someone", "InvalidArgument", /^hf:\/\/someone names nothing on a hub; write hf:\/\/OWNER\/NAME/],
    ["hf://someone/a-model/../x", "InvalidArgument", /names nothing on a hub/],
    ["hf://someone/nothing", "NotFound", /answers with status 404: there is no such repository or revision$/],
    ["hf://someone/a-model@other", "NotFound", /status 404/],
    ["hf://someone/a-model/nothing.json", "NotFound", /has no files that can be used at nothing\.json$/],
  ])("refuses %s", async (text, code, message) => {
    await expect(fetchSnapshot(text, { wanted, env: env() })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("shows its token to the hub, and says where one is missing", async () => {
    hub.token = "hf_secret";
    await expect(fetchSnapshot(reference, { wanted, env: env() })).rejects.toMatchObject({
      code: "PermissionDenied",
      message: expect.stringMatching(/Set HF_TOKEN to a token that may read it$/),
    });
    await writeFile(join(home, "token"), "hf_secret\n");
    expect(await fetchSnapshot(reference, { wanted, env: env() })).toContain(hub.commit);
    expect(await fetchSnapshot(reference, { wanted, env: env({ HF_TOKEN: "hf_secret" }) })).toContain(hub.commit);
  });

  it("keeps no file outside of its folder", async () => {
    await hub.stop();
    hub = await TestHub.start("someone/a-model", new Map([["../../../escaped", { bytes: Buffer.from("x") }]]));
    await expect(fetchSnapshot(reference, { wanted, env: env() })).rejects.toMatchObject({ code: "DataLoss" });
    expect(await readdir(resolve(home, ".."))).not.toContain("escaped");
  });
});
