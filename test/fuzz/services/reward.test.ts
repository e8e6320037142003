import { create } from "@bufbuild/protobuf";
import { rewardSettings } from "../../../services/reward/config.js";
import { rewardRole } from "../../../services/reward/role.js";
import type { RoleParts } from "../../../services/shared/base/role.js";
import { EvaluateRequestSchema, RewardServiceDescribeRequestSchema } from "../../../services/shared/gen/retort/v1/reward_pb.js";
import { roleParts } from "../../support/fuzz/roles.js";
import { ServiceFuzz } from "../../support/fuzz/service-fuzz.js";
import { tameTexts } from "../../support/fuzz/tame.js";

const inputs = [{ prompt: "12=", completion: "twelve", reference: "twelve", completionTokens: 6 }];

describe("RewardService, asked with anything", () => {
  let parts: RoleParts;
  let fuzzed: ServiceFuzz;

  beforeAll(async () => {
    parts = roleParts("reward", rewardSettings, rewardRole, []);
    for (const service of parts.before) await service.start?.();
    fuzzed = new ServiceFuzz({
      implementation: parts.implementations[0]!,
      good: {
        describe: [create(RewardServiceDescribeRequestSchema)],
        evaluate: [
          create(EvaluateRequestSchema, { inputs, rewards: [{ kind: "exact_match" }, { kind: "rouge_l", weight: 0.5 }] }),
          create(EvaluateRequestSchema, { inputs: [...inputs, ...inputs], rewards: [{ kind: "regex", pattern: "^t.*e$" }] }),
          create(EvaluateRequestSchema, {
            inputs,
            rewards: [
              { kind: "length", targetTokens: 4 },
              { kind: "task", task: "num2words" },
            ],
          }),
        ],
      },
      tame: (method, request) => tameTexts(method.input, request, { address: ["", "127.0.0.1:1", "nonsense"] }),
    });
    await fuzzed.start();
  });
  afterAll(async () => {
    await fuzzed.stop();
    for (const service of parts.before) await service.stop?.();
  });

  it("answers, or refuses by name, and goes on as before", () => fuzzed.run(900));
});
