import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import { learnerSettings } from "../../../services/learner/config.js";
import { learnerRole } from "../../../services/learner/role.js";
import type { RoleParts } from "../../../services/shared/base/role.js";
import { toRecord } from "../../../services/shared/flow/arrays.js";
import {
  LearnerServiceGetStatusRequestSchema,
  SaveRequestSchema,
  StepRequestSchema,
} from "../../../services/shared/gen/retort/v1/learner_pb.js";
import { roleParts } from "../../support/fuzz/roles.js";
import { ServiceFuzz } from "../../support/fuzz/service-fuzz.js";
import { tameTexts } from "../../support/fuzz/tame.js";

const vocab = 41;
const uniform = (length: number, shape?: number[]) => toRecord(new Float32Array(length).fill(-Math.log(vocab)), shape);
const sequence = (promptId: number) => ({
  prompt: promptId,
  promptIds: toRecord(Int32Array.of(1, 12)),
  completionIds: toRecord(Int32Array.of(20, 21, 2)),
  samplerLogprobs: toRecord(Float32Array.of(-1, -2, -0.5)),
  policyVersions: toRecord(new Uint32Array(3)),
});
const full = { logprobs: uniform(3), full: uniform(3 * vocab, [3, vocab]) };
const top = {
  logprobs: uniform(3),
  ids: toRecord(Int32Array.of(1, 2, 3, 4, 5, 6), [3, 2]),
  topLogprobs: toRecord(new Float32Array(6).fill(-1.5), [3, 2]),
  tailLogprobs: toRecord(new Float32Array(3).fill(-0.8)),
};
// So small a rate that the thousandth step still says the same of the model as the first.
const optimizer = { learningRate: 1e-30, weightDecay: 0 };

describe("LearnerService of a learner that stands alone, asked with anything", () => {
  let directory: string;
  let parts: RoleParts;
  let fuzzed: ServiceFuzz;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-fuzz-"));
    const model = resolve("deploy/examples/num2words/models/student");
    parts = roleParts("learner", learnerSettings, learnerRole, ["--model", model, "--threads", "1", "--data-dir", directory]);
    for (const service of parts.before) await service.start?.();
    const paths = [join(directory, "saved"), join(directory, "a", "b"), "/dev/null/x", "\0", "/proc/none"];
    fuzzed = new ServiceFuzz({
      implementation: parts.implementations[0]!,
      good: {
        getStatus: [create(LearnerServiceGetStatusRequestSchema)],
        save: [create(SaveRequestSchema, { path: paths[0]! })],
        step: [
          create(StepRequestSchema, {
            sequences: [0, 1].map((i) => ({ sequence: sequence(i), score: full, reward: { value: i } })),
            signal: { kind: "full", temperature: 1 },
            objective: { divergence: "reverse_kl", signal: "full", alpha: 0.5 },
            optimizer,
          }),
          create(StepRequestSchema, {
            sequences: [{ sequence: sequence(0), score: top }],
            signal: { kind: "top_k", k: 2, temperature: 1 },
            objective: { divergence: "forward_kl", signal: "top_k", topK: 2 },
            optimizer,
          }),
        ],
      },
      tame: (method, request) => {
        tameTexts(method.input, request, { path: paths, teacherModel: ["", model, directory, "/dev/null", "/etc/passwd", "\0"] });
        // Steps that succeed must leave the model as it is, or its answers change; rates out of bounds stay, to be refused.
        const rated = request as { optimizer?: { learningRate?: number } };
        if (method.name === "Step") {
          rated.optimizer ??= create(StepRequestSchema, { optimizer }).optimizer!;
          const rate = rated.optimizer!.learningRate;
          if (rate === undefined || (rate > 0 && rate <= 1000)) rated.optimizer!.learningRate = 1e-30;
        }
        return true;
      },
      lasting: (method, [answer]) => {
        if (method.name === "GetStatus") return "status";
        const { result, checkpoint } = answer as unknown as { result?: { loss: number; divergence: number }; checkpoint?: object };
        return result ? [result.loss, result.divergence].map((x) => x.toFixed(4)) : Object.keys(checkpoint ?? {});
      },
    });
    await fuzzed.start();
  });
  afterAll(async () => {
    await fuzzed.stop();
    for (const service of parts.before) await service.stop?.();
    await rm(directory, { recursive: true });
  });

  it("answers, or refuses by name, and goes on as before", () => fuzzed.run(800));
});
