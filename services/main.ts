#!/usr/bin/env node
import { controllerSettings } from "./controller/config.js";
import { controllerRole } from "./controller/role.js";
import { learnerSettings } from "./learner/config.js";
import { learnerRole } from "./learner/role.js";
import { rewardSettings } from "./reward/config.js";
import { rewardRole } from "./reward/role.js";
import { RetortError } from "./shared/base/errors.js";
import { runRole } from "./shared/base/role.js";
import { studentSettings } from "./student/config.js";
import { studentRole } from "./student/role.js";
import { teacherSettings } from "./teacher/config.js";
import { teacherRole } from "./teacher/role.js";

type Arguments = readonly string[];

/** Every role that this program can be: its settings and how it is built. */
const roles: Readonly<Record<string, (argv: Arguments) => Promise<never>>> = {
  controller: (argv) => runRole("controller", controllerSettings, argv, controllerRole),
  learner: (argv) => runRole("learner", learnerSettings, argv, learnerRole),
  reward: (argv) => runRole("reward", rewardSettings, argv, rewardRole),
  student: (argv) => runRole("student", studentSettings, argv, studentRole),
  teacher: (argv) => runRole("teacher", teacherSettings, argv, teacherRole),
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

main(process.argv.slice(2)).catch((thrown: unknown) => {
  const error = RetortError.from(thrown);
  console.error(`retort: ${error.message}`);
  process.exit(error.exitCode);
});
