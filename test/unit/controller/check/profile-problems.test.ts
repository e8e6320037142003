import { create } from "@bufbuild/protobuf";
import { profileProblems } from "../../../../services/controller/check/profile-problems.js";
import { RunSpecSchema, type RunSpecValid } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";

const spec = create(RunSpecSchema, {
  roles: { student: { replicas: 2 }, teacher: { profile: "h10" }, learner: { profile: "a100" } },
}) as RunSpecValid;

describe("profileProblems()", () => {
  it("finds nothing wrong where the installation has them, or none is named", () => {
    expect(profileProblems(spec, ["a100", "h10"])).toEqual([]);
    expect(profileProblems(create(RunSpecSchema) as RunSpecValid, undefined)).toEqual([]);
  });

  it.each<[string, readonly string[] | undefined, RegExp]>([
    ["where roles are processes", undefined, /^is a100, and this controller runs roles as processes of this machine/],
    ["where there are no profiles", [], /^is a100, and the installation has no profiles; .*profiles\)/],
    ["where there are others", ["h100", "small"], /^is a100; the installation's profiles are: h100, small \(did you mean h100\?\)$/],
  ])("refuses each by its path %s", (_, profiles, message) => {
    const problems = profileProblems(spec, profiles);
    expect(problems.map(({ fieldPath }) => fieldPath)).toEqual(["roles.teacher.profile", "roles.learner.profile"]);
    expect(problems[1]!.description).toMatch(message);
  });
});
