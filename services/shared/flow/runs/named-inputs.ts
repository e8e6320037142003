import type { RunSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { type RoleName, teacherName } from "./resolve.js";

/** A file or directory that a spec names to be read. */
export interface NamedInput {
  readonly fieldPath: string;
  /** Empty where the spec names none. */
  readonly path: string;
  /** Of a model that runs elsewhere: only its tokenizer and configs are read. */
  readonly withoutWeights?: boolean;
  /** The role whose processes read it, and which teacher's. */
  readonly reader: RoleName;
  readonly teacher?: string;
  /** Names another one in its place. */
  readonly replace: (path: string) => void;
}

/** The files and directories that a spec names to be read. */
export function namedInputs({ student, teachers, data, evaluation, rewards }: RunSpec): NamedInput[] {
  const at = <K extends string>(fieldPath: string, reader: RoleName, holder: { [P in K]: string } | undefined, key: K): NamedInput => ({
    fieldPath,
    reader,
    path: holder?.[key] ?? "",
    replace: (path) => {
      if (holder) Object.assign(holder, { [key]: path });
    },
  });
  return [
    at("student.model", "learner", student, "model"),
    at("student.init.tokenizer", "learner", student?.init, "tokenizer"),
    ...teachers.flatMap((teacher, i) =>
      [
        { ...at(`teachers[${i}].model`, "teacher", teacher, "model"), withoutWeights: teacher.server !== undefined },
        ...teacher.ensemble.map((member, m) => at(`teachers[${i}].ensemble[${m}].model`, "teacher", member, "model")),
      ].map((input) => ({ ...input, teacher: teacherName(teacher.name) })),
    ),
    at("data.path", "learner", data, "path"),
    at("evaluation.path", "learner", evaluation, "path"),
    ...rewards.map((reward, i) => at(`rewards[${i}].model`, "reward", reward, "model")),
  ];
}

/** Whether something is named by an address, such as `hf://OWNER/NAME`, and not by a path. */
export const isAddress = (named: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(named);
