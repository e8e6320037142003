import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { type DescMethod, fromJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import type { z } from "zod";
import { protoMessages } from "../../../deploy/proto-rules.js";
import { makeProgram } from "../../../services/cli/program.js";
import { controllerSettings } from "../../../services/controller/config.js";
import { learnerSettings } from "../../../services/learner/config.js";
import { rewardSettings } from "../../../services/reward/config.js";
import { readSettings } from "../../../services/shared/base/settings.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { LearnerService } from "../../../services/shared/gen/retort/v1/learner_pb.js";
import { RewardService } from "../../../services/shared/gen/retort/v1/reward_pb.js";
import { StudentService } from "../../../services/shared/gen/retort/v1/student_pb.js";
import { TeacherService } from "../../../services/shared/gen/retort/v1/teacher_pb.js";

import { studentSettings } from "../../../services/student/config.js";
import { teacherSettings } from "../../../services/teacher/config.js";

const services = [ControllerService, LearnerService, RewardService, StudentService, TeacherService];
const roles: Readonly<Record<string, z.ZodObject>> = {
  controller: controllerSettings,
  learner: learnerSettings,
  reward: rewardSettings,
  student: studentSettings,
  teacher: teacherSettings,
};
const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { readonly scripts: Readonly<Record<string, string>> };

/** Programs of others: of their words only the files of this repository are looked at. */
const others = new Set([
  "bash",
  "cd",
  "docker",
  "git",
  "helm",
  "kubectl",
  "lm_eval",
  "mkdir",
  "pip",
  "pip3",
  "python",
  "python3",
  "source",
]);

/** What tells what is wrong with a command; each throws it. */
const checks: Readonly<Record<string, (words: readonly string[]) => Promise<void> | void>> = {
  curl: (words) => checkCall(words, words.find((word) => word.startsWith("http"))?.replace(/^https?:\/\/[^/]*\//, "")),
  grpcurl: checkGrpcurl,
  node: ([file = ""]) => fail(!existsSync(file), `there is no ${file}`),
  npm: checkNpm,
  npx: ([program, ...words]) => (program === "retort" ? checkRetort(words) : fail(true, `npx ${program} is not known to be one of ours`)),
  retort: checkRetort,
};

/** Checks a command that a page shows. @throws an error that says what is wrong with it */
export async function checkCommand([program = "", ...words]: readonly string[]): Promise<void> {
  const name = /(^|\/)bin\/[^/]+$/.test(program) ? basename(program) : program;
  const check = checks[name];
  if (!check && !others.has(name)) throw new Error(`it isn't known how ${name} is checked: name it in test/support/pages/check-command.ts`);
  await check?.(words);
  for (const path of words.flatMap(pathsIn)) fail(!existsSync(path), `there is no ${path}`);
}

/** Files of this repository that a word names; what is built by a command is not there yet. */
const pathsIn = (word: string): string[] =>
  [...word.matchAll(/(?:^|[="@]|\.\/)((?:deploy|dist|proto|services|test)\/[\w./-]+)/g)]
    .map(([, path = ""]) => path)
    .filter((path) => !path.startsWith("dist/packages/"));

function fail(isWrong: boolean, reason: string): void {
  if (isWrong) throw new Error(reason);
}

function checkNpm([word = "", name = ""]: readonly string[]): void {
  if (word === "run") fail(!(name in scripts), `package.json has no script ${name}`);
  else fail(!["ci", "install", "pack", "publish", "test"].includes(word), `npm ${word} is not known`);
}

/** A program that does nothing but read its command line. */
async function dryProgram(): Promise<Command> {
  const program = await makeProgram((made) => made.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} }));
  const quiet = (command: Command): void => {
    if (command.commands.length === 0) command.action(() => {});
    command.commands.forEach(quiet);
  };
  program.commands.forEach(quiet);
  return program;
}

const dry = await dryProgram();

async function checkRetort(words: readonly string[]): Promise<void> {
  if (words.includes("--help")) return checkNamed(words);
  if (words[0] === "serve") checkServe(words.slice(1));
  await dry.parseAsync([...words], { from: "user" });
}

/** What follows the role is read by the role itself. */
function checkServe([role = "", ...settings]: readonly string[]): void {
  const schema = roles[role];
  if (!schema) throw new Error(`there is no role ${role}`);
  readSettings(
    schema,
    settings.filter((setting) => setting !== "--openai" && setting !== "--json"),
    {},
  );
}

/** Names of the options that `retort serve` takes for one of the roles. */
const serveOptions = ["--openai", ...Object.values(roles).flatMap(({ shape }) => Object.keys(shape).map(flagOf))];

/** Checks that a command of `retort` is there and has the options that it is shown with, where not all of it is shown. */
export async function checkNamed([name = "", ...words]: readonly string[]): Promise<void> {
  const command = dry.commands.find((one) => one.name() === name);
  if (!command) throw new Error(`retort has no command ${name}`);
  const known = new Set(["--help", ...[...dry.options, ...command.options].flatMap(({ long, short }) => [long, short])]);
  for (const sub of command.commands) for (const { long, short } of sub.options) known.add(long).add(short);
  if (name === "serve") for (const option of serveOptions) known.add(option);
  for (const word of words) {
    const [option = ""] = /^--?[a-z][a-z-]*/.exec(word) ?? [];
    fail(option !== "" && !known.has(option), `retort ${name} has no option ${option}`);
  }
}

/** grpcurl [flags] ADDRESS list|describe|SERVICE/METHOD */
function checkGrpcurl(words: readonly string[]): void {
  const [verb = "", symbol] = words.slice(words.findIndex((word) => /:\d+$/.test(word)) + 1);
  const known = [...protoMessages, ...services].map(({ typeName }) => typeName);
  if (verb === "describe") fail(!symbol || !known.includes(symbol), `${symbol} is not described`);
  else if (verb !== "list") checkCall(words, verb);
}

/** A call of a method, by its path, with `-d` a message in JSON. */
function checkCall(words: readonly string[], path: string | undefined): void {
  const [, service, name] = /^(retort\.v1\.\w+)\/(\w+)$/.exec(path ?? "") ?? [];
  const methods: readonly DescMethod[] = services.find(({ typeName }) => typeName === service)?.methods ?? [];
  const method = methods.find((one) => one.name === name);
  if (!method) throw new Error(`${path} is no method of a service`);
  const at = words.indexOf("-d");
  if (at >= 0) fromJson(method.input, JSON.parse(words[at + 1] ?? ""));
}
