import { checkProcesses } from "../../../../services/controller/local/process-limit.js";

const setsOf = (replicas: number) => [
  { runId: "r", role: "learner" as const, replicas: 1 },
  { runId: "r", role: "student" as const, replicas },
];

describe("checkProcesses()", () => {
  it("takes eight processes to a core, and thirty-two anyway", () => {
    expect(() => checkProcesses(setsOf(31), 1)).not.toThrow();
    expect(() => checkProcesses(setsOf(127), 16)).not.toThrow();
  });

  it.each([
    [32, 2, 33, 32],
    [1024, 16, 1025, 128],
  ])("refuses %d students on %d cores with the figures", (replicas, cores, wanted, most) => {
    expect(() => checkProcesses(setsOf(replicas), cores)).toThrow(
      expect.objectContaining({
        code: "InvalidArgument",
        message: expect.stringContaining(`${wanted} processes, and this machine of ${cores} cores runs at most ${most}`),
      }),
    );
  });
});
