#!/usr/bin/env node
import "./shared/base/no-telemetry.js";
import { RetortError } from "./shared/base/errors.js";
import { tellParent } from "./shared/base/ready.js";
import { runRole } from "./shared/base/role.js";

type Arguments = readonly string[];

/** Every role that this program can be: its settings and how it is built. Only the one that it is gets loaded. */
const roles: Readonly<Record<string, (argv: Arguments) => Promise<never>>> = {
  controller: async (argv) => {
    const [{ controllerSettings }, { controllerRole }] = await Promise.all([
      import("./controller/config.js"),
      import("./controller/role.js"),
    ]);
    return runRole("controller", controllerSettings, argv, controllerRole);
  },
  learner: async (argv) => {
    const [{ learnerSettings }, { learnerRole }] = await Promise.all([import("./learner/config.js"), import("./learner/role.js")]);
    return runRole("learner", learnerSettings, argv, learnerRole);
  },
  reward: async (argv) => {
    const [{ rewardSettings }, { rewardRole }] = await Promise.all([import("./reward/config.js"), import("./reward/role.js")]);
    return runRole("reward", rewardSettings, argv, rewardRole);
  },
  student: async (argv) => {
    const [{ studentSettings }, { studentRole }] = await Promise.all([import("./student/config.js"), import("./student/role.js")]);
    return runRole("student", studentSettings, argv, studentRole);
  },
  teacher: async (argv) => {
    const [{ teacherSettings }, { teacherRole }] = await Promise.all([import("./teacher/config.js"), import("./teacher/role.js")]);
    return runRole("teacher", teacherSettings, argv, teacherRole);
  },
};

/** One image, one program: `--role=NAME` decides what this process is. */
async function main([first = "", ...rest]: Arguments): Promise<never> {
  const role = /^--role=(.+)$/.exec(first)?.[1];
  const start = role === undefined ? undefined : roles[role];
  if (!start)
    throw new RetortError(
      "InvalidArgument",
      `the first argument is "${first}"; it must be --role= one of ${Object.keys(roles).join(", ")}`,
    );
  return start(rest);
}

main(process.argv.slice(2)).catch(async (thrown: unknown) => {
  const error = RetortError.from(thrown);
  console.error(`retort: ${error.message}`);
  await tellParent({ error: error.toJSON() });
  process.exit(error.exitCode);
});
