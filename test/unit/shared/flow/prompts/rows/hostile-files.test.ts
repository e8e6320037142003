import { execFileSync } from "node:child_process";
import { appendFile, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defaultColumns as columns, readDataset } from "../../../../../../services/shared/flow/prompts/dataset.js";
import { readJson } from "../../../../../../services/shared/flow/prompts/rows/json-objects.js";
import { type ParquetShape, parquetOf } from "../../../../../support/data/parquet-bytes.js";

const MiB = 2 ** 20;

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "retort-hostile-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** The error of reading a file, and by how much the process grew meanwhile. */
async function refusal(path: string): Promise<{ code: string; message: string; grown: number }> {
  const before = process.memoryUsage.rss();
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 10);
  try {
    await readDataset(path, columns);
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message, grown: Math.max(most, process.memoryUsage.rss()) - before };
  } finally {
    clearInterval(watch);
  }
  throw new Error("it was read");
}

describe("readDataset() of what is no regular file", () => {
  it.each([
    ["a named pipe", (path: string) => execFileSync("mkfifo", [path])],
    ["a device", (path: string) => symlink("/dev/zero", path)],
    ["a directory", (path: string) => symlink(tmpdir(), path)],
  ])("refuses %s at once, alone and among others", async (kind, make) => {
    const parent = await mkdtemp(join(directory, "kind-"));
    const path = join(parent, "rows.jsonl");
    await make(path);
    if (kind !== "a directory")
      await expect(refusal(path)).resolves.toMatchObject({
        code: "InvalidArgument",
        message: expect.stringContaining(`rows.jsonl is ${kind}`),
      });
    await expect(refusal(parent)).resolves.toMatchObject({ message: expect.stringContaining(`rows.jsonl is ${kind}`) });
  });

  it("refuses a socket", async () => {
    const path = join(directory, "socket.jsonl");
    const server = await new Promise<Server>((resolve) => {
      const made = createServer().listen(path, () => resolve(made));
    });
    await expect(refusal(path)).resolves.toMatchObject({ message: expect.stringContaining("socket.jsonl is a socket") });
    await new Promise((resolve) => server.close(resolve));
  });

  it("refuses a link to itself", async () => {
    const path = join(directory, "loop.jsonl");
    await symlink(path, path);
    await expect(refusal(path)).resolves.toMatchObject({ code: "NotFound" });
  });
});

describe("readDataset() of what is too much", () => {
  it.each([
    ["a line", '{"prompt":"', /large\.jsonl line 1 has more than 67108864 bytes/],
    ["a later line", '{"prompt":"a"}\n\n{"prompt":"', /large\.jsonl line 3 has more than 67108864 bytes/],
    ["a row of a list", '[{"prompt":"a"},\n{"prompt":"', /large\.jsonl line 2, row 2 has more than 67108864 bytes/],
  ])("refuses %s of 600 MB, and never holds it", async (_, start, message) => {
    const path = join(directory, "large.jsonl");
    await writeFile(path, start);
    // Sparse: it takes no room on the disk.
    await truncate(path, 600 * MiB);
    const { grown, ...error } = await refusal(path);
    expect(error).toMatchObject({ code: "InvalidArgument", message: expect.stringMatching(message) });
    expect(grown).toBeLessThan(400 * MiB);
  });

  it("refuses a row of millions of values before it makes them", async () => {
    const path = join(directory, "values.jsonl");
    await writeFile(path, `{"prompt":"a","x":[${"{},".repeat(6_000_000)}{}]}`);
    await expect(refusal(path)).resolves.toMatchObject({ message: expect.stringMatching(/line 1 has more than 4000000 values/) });
  });

  it("stops unpacking what unpacks to far too much", async () => {
    const path = join(directory, "bomb.jsonl.gz");
    await writeFile(path, gzipSync(`{"prompt":"a","x":"${"x".repeat(MiB)}"}\n`.repeat(300), { level: 9 }));
    const { grown, ...error } = await refusal(path);
    expect(error).toMatchObject({
      code: "InvalidArgument",
      message: expect.stringMatching(/unpacks to more than \d+, 250 times as many/),
    });
    expect(grown).toBeLessThan(400 * MiB);
  });
});

describe("readJson()", () => {
  it.each([
    ["cut short", (path: string) => truncate(path, 4 * MiB)],
    ["added to", (path: string) => appendFile(path, '{"prompt":"b"}\n')],
  ])("refuses a file that is %s while it is read", async (_, change) => {
    const path = join(directory, "moving.jsonl");
    await writeFile(path, '{"prompt":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}\n'.repeat(200_000));
    const rows = readJson(path);
    await rows.next();
    await change(path);
    const rest = async () => {
      for await (const _ of rows);
    };
    await expect(rest()).rejects.toMatchObject({
      code: expect.stringMatching(/DataLoss|InvalidArgument/),
      message: expect.stringContaining("moving.jsonl"),
    });
  });
});

describe("readDataset() of Parquet", () => {
  const write = async (bytes: Buffer) => {
    const path = join(directory, "rows.parquet");
    await writeFile(path, bytes);
    return path;
  };

  it("reads a file that is as it says", async () => {
    expect((await readDataset(await write(parquetOf(["a", "bc"])), columns)).map(({ prompt }) => prompt)).toEqual(["a", "bc"]);
  });

  it.each<[string, ParquetShape, RegExp]>([
    ["a page that unpacks to 2 GiB", { unpacked: 2 ** 31 - 1 }, /row group 1 has a page of bytes: 2147483647, and at most 268435456/],
    ["pages that unpack to 2 GiB together", { unpacked: 2 ** 27, pages: 16 }, /row group 1 unpacks to bytes: 1\d+, and at most 1073741824/],
    ["a page of 2^30 values", { values: 2 ** 30, rows: 2 ** 30 }, /row group 1 has a page of values: 1073741824/],
    ["a column of too many values", { values: 2 ** 23, pages: 16 }, /row group 1 has a column of values: 134217728/],
    ["a column outside of the file", { offset: 2 ** 40 }, /places a column outside of itself/],
    ["a column that overlaps its contents", { offset: 60 }, /cannot be read as Parquet/],
    ["a page that is shorter than it says", { unpacked: 2 ** 20 }, /cannot be read as Parquet|row 1/],
  ])("refuses %s", async (_, shape, message) => {
    const { grown, ...error } = await refusal(await write(parquetOf(["hunter2", "bc"], shape)));
    expect(error).toMatchObject({ code: "InvalidArgument", message: expect.stringMatching(message) });
    expect(error.message).not.toContain("hunter2");
    expect(grown).toBeLessThan(400 * MiB);
  });

  it("refuses a table of contents without end, and quotes nothing of a file that is no Parquet", async () => {
    const contents = parquetOf(["a"]);
    contents.writeUInt32LE(2 ** 31, contents.length - 8);
    await expect(refusal(await write(contents))).resolves.toMatchObject({
      message: expect.stringContaining("table of contents of 2147483648 bytes"),
    });
    const { message } = await refusal(await write(Buffer.from("root:x:0:0:hunter2:/root:/bin/bash")));
    expect(message).toMatch(/cannot be read as Parquet/);
    expect(message).not.toMatch(/hunter2|root/);
  });
});
