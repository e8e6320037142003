import { scopeOf } from "../../../../services/shared/base/rpc/access.js";
import { Scope } from "../../../../services/shared/gen/retort/v1/access_pb.js";
import { ControllerService } from "../../../../services/shared/gen/retort/v1/controller_pb.js";
import { EnvironmentService } from "../../../../services/shared/gen/retort/v1/environment_pb.js";
import { LearnerService } from "../../../../services/shared/gen/retort/v1/learner_pb.js";
import { RewardService } from "../../../../services/shared/gen/retort/v1/reward_pb.js";
import { StudentService } from "../../../../services/shared/gen/retort/v1/student_pb.js";
import { TeacherService } from "../../../../services/shared/gen/retort/v1/teacher_pb.js";

const services = [ControllerService, EnvironmentService, LearnerService, RewardService, StudentService, TeacherService];

describe("the scopes of methods", () => {
  it.each(services.flatMap(({ methods }) => methods.map((method) => [`${method.parent.name}.${method.name}`, method] as const)))(
    "%s declares one",
    (_, method) => expect(Scope[scopeOf(method)]).toBeDefined(),
  );

  it("let nobody who may only look change, use or take anything", () => {
    const readable = services.flatMap(({ methods }) => methods.filter((method) => scopeOf(method) === Scope.READ).map(({ name }) => name));
    expect([...new Set(readable)].sort()).toEqual([
      "AuditRun",
      "Describe",
      "GetRun",
      "GetStatus",
      "ListRuns",
      "ListSamples",
      "ListUploads",
      "ReadFigures",
      "ReadLogs",
      "ReadProcesses",
      "WatchRun",
    ]);
  });
});
