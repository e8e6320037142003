import { create } from "@bufbuild/protobuf";
import { checkAudit } from "../../../../services/cli/runs/runs.js";
import { AuditFinishedSchema } from "../../../../services/shared/gen/retort/v1/events_pb.js";

describe("checkAudit()", () => {
  it("is an error for an account that does not hold, and nothing else", () => {
    expect(() => checkAudit("r", undefined)).not.toThrow();
    expect(() => checkAudit("r", create(AuditFinishedSchema, { holds: true }))).not.toThrow();
    expect(() => checkAudit("r", create(AuditFinishedSchema, { problems: ["step 3: a hole", "b"] }))).toThrow(
      /run r does not hold: step 3: a hole \(and 1 more/,
    );
  });
});
