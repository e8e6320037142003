import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeCheckpoint } from "../../../../services/learner/model/checkpoints.js";
import { TrainHost } from "../../../../services/learner/model/train-host.js";
import type { WorkerClient } from "../../../../services/shared/base/workers.js";
import { isOfAverage } from "../../../../services/shared/flow/runs/follow.js";
import { readTensors } from "../../../../services/shared/ml/models/safetensors/safetensors-file.js";
import { expectAllClose } from "../../../support/jest/all-close.js";
import { openOptions } from "../../../support/learner/open-options.js";

const student = { directory: "deploy/examples/num2words/models/student" };
const adapted = { ...student, adapter: { r: 2, alpha: 4, targetModules: ["q_proj"], useRslora: false, seed: 1n } };
const sequence = { promptIds: Int32Array.of(5, 6), completionIds: Int32Array.of(7, 8, 9) };
const averageDecay = 0.75;

describe("the average of a student's weights", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-average-"));
  });
  afterEach(() => rm(root, { recursive: true }));

  const opened = async (source: typeof adapted | typeof student, checkpoint?: string) => {
    const host = new TrainHost();
    await host.open(source, openOptions, { averageDecay, checkpoint });
    return host;
  };
  let written = 0;
  /** What a version has: its own weights, and its average's. */
  const versionOf = async (host: TrainHost) => {
    const directory = join(root, `version-${written++}`);
    await mkdir(directory);
    const files = await host.writeVersion(directory, false);
    const read = async (average: boolean) => {
      const [file] = files.filter(({ name }) => isOfAverage(name) === average);
      return new Map([...(await readTensors(file!.path))].map(([name, { data }]) => [name, data]));
    };
    return { files, own: await read(false), average: await read(true) };
  };

  it.each([
    ["the whole model", student, "model.safetensors"],
    ["an adapter", adapted, "adapter_model.safetensors"],
  ])("of %s is written beside each version", async (_, source, file) => {
    const host = await opened(source);
    const versions = [await versionOf(host)];
    expect(versions[0]!.average).toEqual(versions[0]!.own);
    for (let step = 1; step <= 3; step++) {
      await host.step([sequence], 1e-2);
      versions.push(await versionOf(host));
    }
    expect(versions[3]!.files.map(({ name }) => name).sort()).toEqual([`average/${file}`, file].sort());
    expect(versions[3]!.average).not.toEqual(versions[3]!.own);
    for (const [name, average] of versions[3]!.average) {
      const shares = [averageDecay ** 3, ...[2, 1, 0].map((age) => (1 - averageDecay) * averageDecay ** age)];
      const expected = average.map((_, i) =>
        shares.reduce((sum, share, version) => sum + share * versions[version]!.own.get(name)![i]!, 0),
      );
      expectAllClose(average, expected, { rtol: 1e-5, atol: 1e-7 });
    }
  });

  it.each([
    ["the whole model", student],
    ["an adapter", adapted],
  ])("of %s goes on behind a checkpoint as if nothing had been, to the last bit", async (_, source) => {
    const host = await opened(source);
    for (let step = 0; step < 2; step++) await host.step([sequence], 1e-2);
    const path = join(root, "checkpoint");
    await writeCheckpoint(host as unknown as WorkerClient<TrainHost>, path, { step: 2 });
    const resumed = await opened(source, path);
    for (const one of [host, resumed]) await one.step([sequence], 1e-2);
    const [expected, found] = [await versionOf(host), await versionOf(resumed)];
    expect(found.average).toEqual(expected.average);
    expect(found.files.map(({ digest }) => digest)).toEqual(expected.files.map(({ digest }) => digest));
  });

  it("must be in the checkpoint that a run with one goes on from", async () => {
    const host = new TrainHost();
    await host.open(student, openOptions);
    const path = join(root, "checkpoint");
    await writeCheckpoint(host as unknown as WorkerClient<TrainHost>, path, { step: 0 });
    await expect(opened(student, path)).rejects.toMatchObject({
      code: "NotFound",
      message: expect.stringContaining("average.safetensors"),
    });
  });
});
