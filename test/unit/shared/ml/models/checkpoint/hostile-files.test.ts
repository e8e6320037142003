import { execFileSync } from "node:child_process";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readModelJson } from "../../../../../../services/shared/ml/models/checkpoint/model-json.js";
import { openCheckpoint } from "../../../../../../services/shared/ml/models/checkpoint/open.js";
import { readTensors, withFile } from "../../../../../../services/shared/ml/models/safetensors/safetensors-file.js";
import { readTokenizerFiles } from "../../../../../../services/shared/ml/text/tokenizer/files.js";
import { parseFiles } from "../../../../../../services/shared/ml/text/tokenizer/parse.js";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "retort-hostile-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const entry = (from: number, to: number, shape: readonly number[] = [(to - from) / 4], dtype = "F32") =>
  `{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${from},${to}]}`;

/** A safetensors file with a header as it is written here. */
function fileOf(header: string, data = 16, length = Buffer.byteLength(header)): Buffer {
  const first = Buffer.alloc(8);
  first.writeBigUInt64LE(BigInt(length));
  return Buffer.concat([first, Buffer.from(header), Buffer.alloc(data)]);
}

describe("a safetensors header", () => {
  it.each<[string, Buffer, RegExp]>([
    ["longer than the file", fileOf("{}", 16, 2 ** 40), /not a safetensors file, or cut off/],
    ["of 2^63 bytes", fileOf("{}", 16, 2 ** 63), /not a safetensors file, or cut off/],
    ["that is not JSON", fileOf('{"hunter2": x}'), /its header is not JSON: an unexpected character at line 1, column 13/],
    ["that is a list", fileOf("[1]"), /its header is no JSON object/],
    ["of lists within each other", fileOf("[".repeat(100_000)), /its header has more than 16 lists/],
    ["of tensors that are null", fileOf('{"a":null}'), /tensor a has a malformed header entry/],
    ["with three offsets", fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}'), /tensor a has a malformed header entry/],
    ["with a negative size", fileOf(`{"a":${entry(0, 4, [-1])}}`), /tensor a has a malformed header entry/],
    ["with offsets that turn back", fileOf(`{"a":${entry(8, 4, [1])}}`), /tensor a has a malformed header entry/],
    ["with a shape beyond counting", fileOf(`{"a":${entry(0, 4, [2 ** 40, 2 ** 40])}}`), /tensor a has a shape of more elements/],
    ["with a shape of another size", fileOf(`{"a":${entry(0, 4, [2])}}`), /tensor a has 1 elements for shape \[2\]/],
    ["with tensors that overlap", fileOf(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`), /tensors a and b share bytes/],
    ["with one name twice", fileOf(`{"a":${entry(0, 4)},"a":${entry(4, 8)}}`), /names a tensor twice/],
    ["with an escaped name twice", fileOf(`{"a":${entry(0, 4)},"\\u0061":${entry(4, 8)}}`), /names a tensor twice/],
    ["with a tensor behind the end", fileOf(`{"a":${entry(0, 64)}}`), /tensor a ends after the file/],
  ])("%s is refused, before a number is read and while all are", async (_, bytes, message) => {
    await writeFile(join(directory, "model.safetensors"), bytes);
    const expected = { code: "DataLoss", message: expect.stringMatching(message) };
    await expect(openCheckpoint(directory)).rejects.toMatchObject(expected);
    await expect(openCheckpoint(directory)).rejects.not.toMatchObject({ message: expect.stringContaining("hunter2") });
    await expect(readTensors(join(directory, "model.safetensors"))).rejects.toMatchObject(expected);
  });

  it("may name tensors in any order, empty ones among them", async () => {
    const bytes = fileOf(`{"b":${entry(4, 8)},"__metadata__":{"a:b":"{"},"none":${entry(4, 4, [0])},"a":${entry(0, 4)}}`);
    await writeFile(join(directory, "model.safetensors"), bytes);
    expect([...(await readTensors(join(directory, "model.safetensors"))).keys()]).toEqual(["b", "none", "a"]);
  });
});

describe("a model directory", () => {
  it.each(["config.json", "tokenizer.json"])("is refused at once where %s is a named pipe", async (name) => {
    execFileSync("mkfifo", [join(directory, name)]);
    const read = name === "config.json" ? readModelJson(directory, name) : readTokenizerFiles(directory);
    await expect(read).rejects.toMatchObject({ code: "InvalidArgument", message: expect.stringMatching(`${name} is a named pipe`) });
  });

  it("is refused where the weights are a device or a pipe", async () => {
    execFileSync("mkfifo", [join(directory, "model.safetensors")]);
    await expect(openCheckpoint(directory)).rejects.toMatchObject({ message: expect.stringContaining("is a named pipe") });
  });

  it("is refused where config.json has 600 MB, without reading it", async () => {
    await writeFile(join(directory, "config.json"), "{}");
    await truncate(join(directory, "config.json"), 6e8);
    await expect(readModelJson(directory, "config.json")).rejects.toMatchObject({
      message: expect.stringMatching(/has 600000000 bytes, and at most 67108864/),
    });
  });

  it.each(["../other/model.safetensors", "/etc/passwd", "..", "a/b.safetensors", "a\\b"])(
    "is refused where its index names %s",
    async (file) => {
      await writeFile(join(directory, "model.safetensors.index.json"), JSON.stringify({ weight_map: { "lm_head.weight": file } }));
      await expect(openCheckpoint(directory)).rejects.toMatchObject({
        code: "InvalidArgument",
        message: expect.stringMatching(/outside of the directory/),
      });
    },
  );

  it("quotes nothing of a file that is no JSON", async () => {
    await writeFile(join(directory, "config.json"), "root:x:0:0:hunter2");
    await expect(readModelJson(directory, "config.json")).rejects.toMatchObject({
      message: expect.stringMatching(/config\.json is not JSON: an unexpected character at line 1, column 1; copy or download it again$/),
    });
    expect(() => parseFiles({ "tokenizer.json": "hunter2" })).toThrow(
      "tokenizer.json is not JSON: an unexpected character at line 1, column 1;",
    );
  });

  it("notices that its weights are changed while they are read", async () => {
    const path = join(directory, "model.safetensors");
    await writeFile(path, fileOf(`{"a":${entry(0, 4)}}`));
    const reading = withFile(path, async () => {
      await writeFile(path, fileOf(`{"a":${entry(0, 8)}}`, 32));
    });
    await expect(reading).rejects.toMatchObject({
      code: "DataLoss",
      message: expect.stringMatching(/model\.safetensors was changed while it was read/),
    });
  });
});
