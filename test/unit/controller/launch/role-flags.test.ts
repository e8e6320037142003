import { roleFlags } from "../../../../services/controller/launch/role-flags.js";
import { rewardSettings } from "../../../../services/reward/config.js";
import { readSettings, toFlags } from "../../../../services/shared/base/settings.js";
import { teacherSettings } from "../../../../services/teacher/config.js";

describe("roleFlags()", () => {
  const spec = { device: "cpu", dtype: "float32", threads: 2 };

  it("are settings that the role's process takes", () => {
    expect(readSettings(teacherSettings, toFlags(roleFlags("teacher", spec)), {})).toMatchObject(spec);
    expect(readSettings(rewardSettings, toFlags(roleFlags("reward", spec)), {})).toMatchObject({ device: "cpu", threads: 2 });
  });

  it("leave out what the spec leaves out", () => {
    expect(toFlags(roleFlags("student", { device: "", dtype: "", threads: 0 }))).toEqual([]);
    expect(toFlags(roleFlags("student", undefined))).toEqual([]);
  });
});
