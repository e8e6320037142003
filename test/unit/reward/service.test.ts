import { rewardService } from "../../../services/reward/service.js";
import { Roots } from "../../../services/shared/base/paths.js";

describe("rewardService()", () => {
  const never = () => Promise.reject(new Error("it was asked"));
  const service = rewardService(
    { text: never, classifier: never, external: never } as never,
    { problems: never } as never,
    new Roots("/models", "--roots"),
  );
  const evaluate = service.handlers.evaluate as (request: unknown) => Promise<unknown>;

  it("opens no classifier outside the roots", async () => {
    const rewards = [
      { kind: "length", model: "" },
      { kind: "classifier", model: "/models/../etc" },
    ];
    await expect(evaluate({ inputs: [{}], rewards })).rejects.toMatchObject({ code: "PermissionDenied", fieldPath: "rewards[1].model" });
  });
});
