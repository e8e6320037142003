import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clone, create, toBinary } from "@bufbuild/protobuf";
import { DirectoryStore } from "../../services/shared/flow/weights/directory-store.js";
import { type WeightsManifest, WeightsManifestSchema } from "../../services/shared/gen/retort/v1/flow_pb.js";
import { mutatedBytes } from "../support/fuzz/bytes.js";
import { fuzz, outcomeOf } from "../support/fuzz/cases.js";
import { mutatedMessage } from "../support/fuzz/messages.js";
import type { Random } from "../support/fuzz/random.js";
import { fetchedBytes, storeBytes } from "../support/runs/stored-bytes.js";

const content = new Map([
  ["config.json", Buffer.from("{}")],
  ["model.safetensors", Buffer.from("weights")],
]);

/** Changes that a stranger would make: names that lead elsewhere, another run, another version. */
function foreign(random: Random, manifest: WeightsManifest): WeightsManifest {
  const copy = clone(WeightsManifestSchema, manifest);
  const kind = random.int(3);
  if (kind === 0)
    copy.files[0]!.name = random.pick(["../../outside", "../0/config.json", "/etc/passwd", "a/b", "..", ".", "", "\0", "manifest.binpb"]);
  else if (kind === 1) copy.runId = random.pick(["other", "..", ".", "../outside", ""]);
  else copy.version = random.pick([0, 2, 7]);
  return copy;
}

describe("a stored version whose manifest may be anything", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-fuzz-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("is refused or read exactly, and its removal removes nothing else", async () => {
    const root = join(directory, "weights");
    const store = new DirectoryStore(root);
    const others = async () => {
      const names = await readdir(directory, { recursive: true });
      return names.filter((name) => !name.startsWith(join("weights", "run", "1"))).sort();
    };
    await storeBytes(store, "other", 0, content, 1n);
    await storeBytes(store, "run", 0, content, 1n);
    await writeFile(join(directory, "outside"), "x");
    const before = await others();
    await fuzz("manifests", 400, async (random) => {
      const manifest = create(WeightsManifestSchema, await storeBytes(store, "run", 1, content, 1n));
      const kind = random.int(4);
      const bytes =
        kind === 0
          ? mutatedBytes(random, toBinary(WeightsManifestSchema, manifest))
          : toBinary(
              WeightsManifestSchema,
              kind === 1 ? mutatedMessage(random, WeightsManifestSchema, manifest) : foreign(random, manifest),
            );
      await writeFile(join(root, "run", "1", "manifest.binpb"), bytes);
      const read = await outcomeOf(() => fetchedBytes(store, "run", 1));
      if ("value" in read)
        for (const [name, bytes] of read.value) {
          if (!content.get(name)?.equals(bytes)) throw new Error(`${name} was read with other bytes than were stored`);
        }
      await outcomeOf(() => store.delete("run", 1));
      expect(await others()).toEqual(before);
      await rm(join(root, "run", "1"), { recursive: true, force: true });
      await mkdir(join(root, "run", "1"));
    });
  });
});
