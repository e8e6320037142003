import { findRun } from "../../../../services/cli/runs/find-run.js";
import { runNamed } from "../../../../services/shared/flow/runs/run-named.js";

const runs = [
  { runId: "gkd-251125-120000-abc", spec: { name: "gkd" } },
  { runId: "gkd-long-251125-110000-def", spec: { name: "gkd-long" } },
  { runId: "gkd-251124-120000-ghi", spec: { name: "gkd" } },
  { runId: "sft-251123-120000-jkl", spec: { name: "sft" } },
] as unknown as Parameters<typeof runNamed>[0];

describe("runNamed()", () => {
  it.each([
    ["last", "gkd-251125-120000-abc"],
    ["gkd-251124-120000-ghi", "gkd-251124-120000-ghi"],
    // A spec's name before the beginning of an id: gkd-long begins with gkd, too.
    ["gkd", "gkd-251125-120000-abc"],
    ["gkd-l", "gkd-long-251125-110000-def"],
    ["gkd-251124", "gkd-251124-120000-ghi"],
    ["s", "sft-251123-120000-jkl"],
  ])("takes %s for %s", (named, runId) => expect(runNamed(runs, named)).toBe(runId));

  it("lists the runs that a beginning may mean", () => {
    expect(() => runNamed(runs, "gkd-2511")).toThrow(/"gkd-2511" begins the ids of 2 runs; say more: gkd-251125-120000-abc, gkd-251124-1/);
  });

  it("lists what there is where nothing is meant, and says how many more there are", () => {
    expect(() => runNamed(runs, "nope")).toThrow(/no run "nope"; the runs are gkd-251125.*jkl$/);
    expect(() => runNamed([], "last")).toThrow(/no run "last"; there are no runs yet/);
    const many = Array.from({ length: 20 }, (_, i) => ({ runId: `r${i}`, spec: undefined }));
    expect(() => runNamed(many, "nope")).toThrow(/r7, and 12 more/);
  });
});

describe("findRun()", () => {
  it("leaves a whole id to the controller, which may know what its list doesn't", async () => {
    const listRuns = () => Promise.reject(new Error("it was asked for a list"));
    expect(await findRun({ listRuns }, "lost-251125-120000-xyz")).toBe("lost-251125-120000-xyz");
  });
});
