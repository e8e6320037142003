import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import { readTensors } from "../../services/shared/ml/models/safetensors/safetensors-file.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { encodeSafetensors } from "../support/models/encode-safetensors.js";
import { LocalCluster } from "../support/runs/local-run.js";

const example = resolve("deploy/examples/num2words");
const ids = 41;

/** A copy of an example's model whose embedding and head have further rows, which would win every argmax. */
async function padded(directory: string, name: "student" | "teacher", rows: number): Promise<void> {
  await cp(join(example, "models", name), directory, { recursive: true });
  const tensors = [...(await readTensors(join(directory, "model.safetensors")))].map(([key, tensor]) => {
    if (tensor.dims[0] !== ids) return [key, tensor] as const;
    const width = tensor.dims[1]!;
    const data = Float32Array.from({ length: rows * width }, (_, i) => (i < ids * width ? tensor.data[i]! : 9 * Math.sin(i)));
    return [key, float32(data, [rows, width])] as const;
  });
  await writeFile(join(directory, "model.safetensors"), encodeSafetensors(new Map(tensors)));
  const config = JSON.parse(await readFile(join(directory, "config.json"), "utf8")) as Record<string, unknown>;
  await writeFile(join(directory, "config.json"), JSON.stringify({ ...config, vocab_size: rows }));
}

describe("a pair whose vocabularies are padded to other sizes", () => {
  let cluster: LocalCluster;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-padded-"));
    await padded(join(directory, "student"), "student", 48);
    await padded(join(directory, "teacher"), "teacher", 64);
    cluster = await LocalCluster.start();
  });
  afterAll(async () => {
    await cluster.stop();
    await rm(directory, { recursive: true });
  });

  async function run(student: string, teacher: string, objective: string, more = "") {
    const spec = `
name: padded
seed: 5
student: { model: ${student} }
teachers: [{ model: ${teacher} }]
data: { path: ${join(example, "data/train.jsonl")} }
rollouts: { maxStaleness: 0 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
evaluation: { holdOut: 8 }
${more}
phases:
  - preset: on_policy_kd
    steps: 2
    batchSize: 8
    sampling: { maxNewTokens: 12 }
    objective: { ${objective} }
`;
    const { run, events } = await cluster.watch(await cluster.begin(spec));
    expect(run.message).toBe("");
    expect(run.state).toBe(RunState.SUCCEEDED);
    const steps = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    const evaluations = events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value] : []));
    return {
      warnings: events.flatMap(({ event }) => (event.case === "warning" ? [event.value.message] : [])),
      steps: steps.flatMap(({ loss, divergence, gradientNorm }) => [loss, divergence, gradientNorm]),
      mismatch: Math.max(...steps.map(({ mismatchKl }) => mismatchKl)),
      evaluated: evaluations.flatMap(({ forwardKl, reverseKl, teacherNll }) => [forwardKl!, reverseKl!, teacherNll!]),
    };
  }

  it.each(["signal: full", "signal: hidden, hiddenDtype: float32", "signal: top_k, topK: 8", "signal: student_top_k, topK: 8"])(
    "trains as the pair without padding over the rows that count, and says which: %s",
    async (signal) => {
      const objective = `divergence: reverse_kl, ${signal}`;
      const plain = await run(join(example, "models/student"), join(example, "models/teacher"), objective);
      const found = await run(join(directory, "student"), join(directory, "teacher"), objective, `vocabSize: ${ids}`);
      expectAllClose(found.steps, plain.steps, { rtol: 1e-3, atol: 1e-5 });
      expectAllClose(found.evaluated, plain.evaluated, { rtol: 1e-3, atol: 1e-5 });
      expect(found.mismatch).toBeLessThan(1e-6);
      expect(found.warnings).toEqual([
        expect.stringMatching(/the student has 48 rows of vocabulary: distributions range over the first 41.*renormalised; 7 are left out/),
        expect.stringMatching(/the teacher "default" has 64 rows of vocabulary: .*first 41.*renormalised; 23 are left out/),
      ]);
    },
  );

  it("ranges over the rows that both have if nothing is said, and samples none that has no token", async () => {
    const found = await run(join(directory, "student"), join(directory, "teacher"), "divergence: reverse_kl");
    expect(found.warnings).toEqual([expect.stringMatching(/the teacher "default" has 64 rows.*first 48.*16 are left out/)]);
    expect(found.mismatch).toBeLessThan(1e-4);
  });
});
