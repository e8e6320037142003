import { createHash } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { s3Client } from "../../../services/shared/base/remote/s3-client.js";
import { fetchObjects } from "../../../services/shared/base/remote/s3-snapshot.js";
import { CuttingProxy } from "../../support/servers/cutting-proxy.js";
import { TestS3 } from "../../support/servers/s3.js";

const bytes = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7919) % 251));
const weights = bytes(3_000_000);
/** As many bytes as one part must have at least, and some more. */
const large = bytes(12_000_000);
const wanted = (path: string) => path !== "README.md";

describe("fetchObjects()", () => {
  let s3: TestS3;
  let proxy: CuttingProxy;
  let client: S3Client;
  let home: string;
  const put = (Key: string, Body: Buffer) => client.send(new PutObjectCommand({ Bucket: "models", Key, Body }));
  const env = (more: NodeJS.ProcessEnv = {}) => ({ AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${proxy.port}`, XDG_CACHE_HOME: home, ...more });
  const gets = () => proxy.requests.filter((request) => /^GET \/models\/[^?]/.test(request));

  beforeAll(async () => {
    s3 = await TestS3.start("models");
    client = s3Client(s3.endpoint);
    await put("team/student/config.json", Buffer.from('{"model_type":"llama"}'));
    await put("team/student/README.md", Buffer.from("# a model"));
    await put("team/student/empty.json", Buffer.alloc(0));
    await put("team/student/model.safetensors", weights);
    await put("team/student-2/config.json", Buffer.from("another"));
    await put("data/rows.jsonl", Buffer.from('{"prompt":"1"}\n'));
  }, 300_000);
  afterAll(async () => {
    client.destroy();
    await s3.stop();
  });
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "retort-s3-cache-"));
    proxy = await CuttingProxy.start(Number(new URL(s3.endpoint).port));
  });
  afterEach(async () => {
    await proxy.stop();
    await rm(home, { recursive: true });
  });

  it("brings what is wanted below a prefix, once, and what was changed", async () => {
    const seen: [number, number][] = [];
    const directory = await fetchObjects("s3://models/team/student/", { wanted, env: env(), onProgress: (...one) => seen.push(one) });
    expect((await readdir(directory)).sort()).toEqual(["config.json", "empty.json", "model.safetensors"]);
    expect(weights.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
    expect(seen.at(-1)).toEqual([weights.length + 22, weights.length + 22]);
    const before = gets().length;
    expect(await fetchObjects("s3://models/team/student", { wanted, env: env() })).toBe(directory);
    expect(gets()).toHaveLength(before);
    await put("team/student/config.json", Buffer.from('{"model_type":"qwen2"}'));
    const newer = await fetchObjects("s3://models/team/student", { wanted, env: env() });
    expect(await readFile(join(newer, "config.json"), "utf8")).toBe('{"model_type":"qwen2"}');
    expect(await readFile(join(directory, "config.json"), "utf8")).toBe('{"model_type":"llama"}');
    expect(gets().slice(before)).toEqual([expect.stringContaining("config.json")]);
    await put("team/student/config.json", Buffer.from('{"model_type":"llama"}'));
  });

  it("brings the one object of a key", async () => {
    const path = await fetchObjects("s3://models/data/rows.jsonl", { wanted: (name) => name === "", env: env() });
    expect(await readFile(path, "utf8")).toBe('{"prompt":"1"}\n');
    expect(path.endsWith("/data/rows.jsonl")).toBe(true);
  });

  it("goes on where the connection was cut", async () => {
    proxy.cutAt = 1_000_000;
    const directory = await fetchObjects("s3://models/team/student", { wanted, env: env() });
    expect(weights.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
    const asked = gets().filter((request) => request.includes("model.safetensors"));
    expect(asked).toHaveLength(2);
    expect(asked[1]).toMatch(/ bytes=[1-9]\d+-$/);
  });

  it("compares what was stored in parts with the ETag of these", async () => {
    const place = { Bucket: "models", Key: "large/model.safetensors" };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(place));
    const size = 5 * 2 ** 20;
    const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
    for (let from = 0; from < large.length; from += size) {
      const PartNumber = Parts.length + 1;
      const Body = large.subarray(from, from + size);
      const { ETag } = await client.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
      Parts.push({ ETag, PartNumber });
    }
    const { ETag } = await client.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }));
    const md5 = (of: Buffer) => createHash("md5").update(of).digest();
    const whole = Buffer.concat([0, 1, 2].map((i) => md5(large.subarray(i * size, (i + 1) * size))));
    expect(ETag).toBe(`"${md5(whole).toString("hex")}-3"`);
    const directory = await fetchObjects("s3://models/large", { wanted, env: env() });
    expect(large.equals(await readFile(join(directory, "model.safetensors")))).toBe(true);
  });

  it.each(["team/student/model.safetensors", "large/model.safetensors"])(
    "keeps no bytes of %s that aren't those of its ETag",
    async (key) => {
      const file = await open(s3.path("models", key), "r+");
      const { buffer: before } = await file.read(Buffer.alloc(1), 0, 1, 1000);
      await file.write(Buffer.from([before[0]! ^ 1]), 0, 1, 1000);
      try {
        await expect(fetchObjects(`s3://models/${key}`, { wanted: () => true, env: env() })).rejects.toMatchObject({
          code: "DataLoss",
          message: expect.stringMatching(/has the digest [0-9a-f-]+, and should have [0-9a-f-]+: it was changed there, or on its way/),
        });
      } finally {
        await file.write(before, 0, 1, 1000);
        await file.close();
      }
    },
  );

  it("takes what it has where S3 can't be reached", async () => {
    const directory = await fetchObjects("s3://models/team/student", { wanted, env: env() });
    const { port } = proxy;
    await proxy.stop();
    const away = env({ AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}` });
    expect(await fetchObjects("s3://models/team/student", { wanted, env: away })).toBe(directory);
    await expect(fetchObjects("s3://models/data", { wanted, env: away })).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringMatching(/^s3:\/\/models\/data: http:.* can't be reached \(.*ECONNREFUSED.*\), and it isn't in the cache$/),
    });
    proxy = await CuttingProxy.start(Number(new URL(s3.endpoint).port));
  }, 60_000);

  it.each([
    ["s3://", "InvalidArgument", /^s3:\/\/ names nothing in S3; write s3:\/\/BUCKET\/PREFIX$/],
    ["s3:///key", "InvalidArgument", /names nothing in S3/],
    ["s3://models/team/stud", "NotFound", /^s3:\/\/models\/team\/stud has no objects; check bucket and key$/],
    ["s3://elsewhere/x", "NotFound", /^s3:\/\/elsewhere\/x: http:.* answers NoSuchBucket/],
  ])("refuses %s", async (text, code, message) => {
    await expect(fetchObjects(text, { wanted, env: env() })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("says that it may not, and with what that can be changed", async () => {
    const { AWS_SECRET_ACCESS_KEY: secret } = process.env;
    process.env.AWS_SECRET_ACCESS_KEY = "wrong";
    try {
      await expect(fetchObjects("s3://models/team/student", { wanted, env: env() })).rejects.toMatchObject({
        code: "PermissionDenied",
        message: expect.stringMatching(
          /^s3:\/\/models\/team\/student: http:.* refuses it \(status 403\); check bucket, key and the credentials$/,
        ),
      });
    } finally {
      process.env.AWS_SECRET_ACCESS_KEY = secret;
    }
  });
});
