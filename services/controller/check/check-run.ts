import { toJson } from "@bufbuild/protobuf";
import { type ErrorCode, type Problem, RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { checkSpelling, readOwnWords, unreadBy } from "../../shared/codec/teacher-words.js";
import { heldOutNeeds, trainingNeeds } from "../../shared/flow/prompts/needs.js";
import { chatOfData } from "../../shared/flow/runs/chat.js";
import { type ExaminedSpec, examineSpec } from "../../shared/flow/runs/check-spec.js";
import { outputProblems } from "../../shared/flow/runs/output.js";
import { pathProblems, type SpecRoots } from "../../shared/flow/runs/paths.js";
import { initProblems } from "../../shared/flow/runs/sizes.js";
import { teacherPromptsOf } from "../../shared/flow/runs/teacher-prompts.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { ServerSpecSchema } from "../../shared/gen/retort/v1/server_pb.js";
import type { TeacherServiceDescribeResponse } from "../../shared/gen/retort/v1/teacher_pb.js";
import { classOf } from "../../shared/ml/classification/labels.js";
import { inspectClassifier } from "../../shared/ml/classification/open-classifier.js";
import type { TeacherSource } from "./ask-teacher.js";
import type { CheckedRun } from "./checked-run.js";
import { type DataFindings, dataFindings } from "./data-problems.js";
import { deviceProblems } from "./device-problems.js";
import { dtypeProblems } from "./dtype-problems.js";
import { familyProblems } from "./init-family.js";
import { loraProblems } from "./lora-problems.js";
import {
  describedTeacher,
  type NamedModel,
  readStudent,
  type StudentModel,
  studentField,
  type TeacherPlace,
  teacherPlaces,
} from "./named-model.js";
import { offerProblems } from "./offer-problems.js";
import { profileProblems } from "./profile-problems.js";
import { positionProblems } from "./room-problems.js";
import { objectivesProblems, specChecks } from "./spec-checks.js";
import { layoutProblems, mostClasses, vocabularyProblems } from "./vocabulary.js";

/** What reading something came to: what was read, or why it could not be. */
type Reading<T> = { readonly value: T } | { readonly refusal: string };

/** What a check came to. */
export type CheckResult = { readonly checked: CheckedRun } | { readonly problems: readonly Problem[] };

/** What a teacher's server may fail with that says nothing about the teacher. */
const passing: readonly ErrorCode[] = ["Cancelled", "DeadlineExceeded", "ResourceExhausted", "Unavailable"];

/**
 * The check of one run: of its spec by itself, then of what it names. What is wrong with one part hides nothing of the
 * others; a part that is broken, or lies where no spec may lead, is not opened.
 */
export class RunCheck {
  readonly #examined: ExaminedSpec;
  readonly #problems: Problem[];
  readonly #refused: readonly Problem[];
  readonly #student: Promise<Reading<StudentModel> | undefined>;
  readonly #described = new Map<string, Reading<TeacherServiceDescribeResponse>>();

  private constructor(examined: ExaminedSpec, refused: readonly Problem[]) {
    this.#examined = examined;
    this.#refused = refused;
    this.#problems = [...examined.problems, ...refused];
    this.#student = this.#opensStudent() ? read(() => readStudent(examined.spec)) : Promise.resolve(undefined);
  }

  /** Checks a spec by itself, and begins to read its student. @param profiles of the installation, if it has any */
  static async begin(given: RunSpec, roots: SpecRoots, profiles?: readonly string[]): Promise<RunCheck> {
    const examined = examineSpec(given, (spec, run) => [...specChecks(spec, run), ...profileProblems(spec, profiles)]);
    return new RunCheck(examined, await pathProblems(examined.spec, roots));
  }

  /** The teachers that must be asked before {@link finish}, each once. */
  get teachers(): readonly TeacherSource[] {
    const sound = teacherPlaces(this.#examined.spec).flatMap((place) => (this.#opensTeacher(place) ? [place.source] : []));
    return [...new Map(sound.map((source) => [keyOf(source), source])).values()];
  }

  /**
   * Takes down what a teacher says of itself.
   *
   * @param ask asks it; told the digest of the student's vocabulary, if that is known
   * @throws Unavailable and the like if it does not answer; what is wrong with its files becomes a problem
   */
  async describe(source: TeacherSource, ask: (digest: string | undefined) => Promise<TeacherServiceDescribeResponse>): Promise<void> {
    const digest = whatWasRead(await this.#student)?.words.digest;
    this.#described.set(keyOf(source), await read(() => ask(digest), passing));
  }

  /** Puts everything together. @throws Internal if a teacher was not asked */
  async finish(): Promise<CheckResult> {
    const { spec, run } = this.#examined;
    const reading = await this.#student;
    const student = this.#take(studentField(spec), reading);
    if (student && spec.student.init && this.#opens("student.init"))
      this.#add([...initProblems(spec.student.init, student.rows), ...familyProblems(spec.student.init)]);
    const teachers = teacherPlaces(spec).flatMap((place) => {
      if (!this.#opensTeacher(place)) return [];
      const reading = found(this.#described.get(keyOf(place.source)), `what ${place.field} says of itself`);
      const description = this.#take(place.answers, reading);
      return description ? describedTeacher(place, description, student) : [];
    });
    if (student && run.environment) this.#add(environmentProblems(student));
    if (student)
      this.#add([...layoutProblems(student, teachers), ...vocabularyProblems(spec, student, teachers), ...loraProblems(spec, student)]);
    const wordWarnings = await this.#checkOwnTokenizers(student);
    this.#add([...deviceProblems(spec, student, teachers), ...dtypeProblems(spec, student), ...offerProblems(spec, run, teachers)]);
    if (teachers.length) this.#add(objectivesProblems(run, mostClasses(spec, student, teachers)));
    await this.#checkClassifiers();
    const ofRows = await this.#checkData(student, teachers);
    // Where the rows have been looked at, it is known better what to do.
    if (student) this.#add(positionProblems({ spec, run }, student).filter(({ fieldPath }) => this.#opens(fieldPath)));
    // What output may overlap with is looked at too. In a cluster it is the learner's pod that writes; the volume may be read-only here.
    if (this.#opens("output") && this.#refused.length === 0)
      this.#add(await outputProblems(spec, process.env.KUBERNETES_SERVICE_HOST === undefined));
    if (!student || this.#problems.length) return { problems: this.#problems };
    const { rowWarnings, promptTokens } = ofRows;
    return { checked: { spec, run, student, teachers, rowWarnings: [...wordWarnings, ...rowWarnings], promptTokens } };
  }

  /** Reads the tokenizers of the teachers that have their own, as the learner will. */
  async #checkOwnTokenizers(student: StudentModel | undefined): Promise<DataFindings["warnings"]> {
    const { spec } = this.#examined;
    const own = teacherPromptsOf(spec).filter(({ tokenizer }) => tokenizer === "own");
    const warnings: DataFindings["warnings"][number][] = [];
    if (own.length === 0 || !student) return warnings;
    const spells = await read(async () => checkSpelling(student.words, studentField(spec), student.name));
    this.#take(studentField(spec), spells);
    for (const teacher of own) {
      if (!this.#opens(`${teacher.field}.model`)) continue;
      const field = `${teacher.field}.tokenizer`;
      const words = this.#take(field, await read(() => readOwnWords([teacher], chatOfData(spec.data, undefined))))?.get(teacher.name);
      const unread = words && "value" in spells ? unreadBy(words, student.words) : undefined;
      if (unread?.refused) this.#add([{ fieldPath: field, description: unread.message }]);
      else if (unread) warnings.push({ field, message: unread.message });
    }
    return warnings;
  }

  async #checkClassifiers(): Promise<void> {
    for (const [i, { kind, model, label }] of this.#examined.spec.rewards.entries()) {
      const field = `rewards[${i}].model`;
      if (kind !== "classifier" || !this.#opens(field)) continue;
      const labels = this.#take(field, await read(() => inspectClassifier(model)));
      if (labels) this.#take(`rewards[${i}].label`, await read(async () => classOf(label, labels)));
    }
  }

  async #checkData(
    student: StudentModel | undefined,
    teachers: readonly NamedModel[],
  ): Promise<Required<Pick<CheckedRun, "rowWarnings">> & Pick<CheckedRun, "promptTokens">> {
    const { spec, run } = this.#examined;
    const all = [spec.data.path ? trainingNeeds(spec, run) : undefined, spec.evaluation?.path ? heldOutNeeds(spec, run) : undefined];
    const rowWarnings: DataFindings["warnings"][number][] = [];
    let promptTokens: number | undefined;
    for (const needs of all) {
      const field = `${needs?.field}.path`;
      if (!needs || !this.#opens(field) || !spec.teachers.every((_, i) => this.#opens(`teachers[${i}].tokenizer`))) continue;
      const findings = this.#take(field, await read(() => dataFindings(this.#examined, needs, student, teachers)));
      this.#add(findings?.problems ?? []);
      rowWarnings.push(...(findings?.warnings ?? []));
      if (needs.field === "data") promptTokens = findings?.promptTokens;
    }
    return { rowWarnings, promptTokens };
  }

  /** Whether a part of the spec may be looked at: nothing is wrong with it so far. */
  #opens(field: string): boolean {
    return this.#examined.isSound(field) && !this.#problems.some(({ fieldPath }) => fieldPath === field);
  }

  #opensTeacher({ field, answers }: TeacherPlace): boolean {
    return this.#opens(field) && this.#opens(answers);
  }

  /** A student from scratch may take its tokenizer from the first teacher's directory. */
  #opensStudent(): boolean {
    const { spec } = this.#examined;
    const { init } = spec.student;
    return this.#opens(studentField(spec)) && (init?.tokenizer !== "" || this.#opens("teachers[0].model"));
  }

  /** What was read; what kept it from being read is a problem of the field. */
  #take<T>(fieldPath: string, reading: Reading<T> | undefined): T | undefined {
    if (reading && "refusal" in reading) this.#problems.push({ fieldPath, description: reading.refusal });
    return whatWasRead(reading);
  }

  /** Adds problems, unless they are about something broken, or known. */
  #add(problems: readonly Problem[]): void {
    const known = new Set(this.#problems.map(({ fieldPath, description }) => `${fieldPath}: ${description}`));
    this.#problems.push(
      ...this.#examined.relevant(problems).filter(({ fieldPath, description }) => !known.has(`${fieldPath}: ${description}`)),
    );
  }
}

/** Why a student can't go on with a conversation. */
const environmentProblems = ({ layout, name }: StudentModel): Problem[] =>
  layout === "one"
    ? []
    : [
        {
          fieldPath: "environment",
          description: `answers within the text that a student goes on with, and ${name} is an encoder-decoder, which reads its prompt apart; take a decoder, or leave the environment out`,
        },
      ];

/** Teachers of one key are one. */
const keyOf = ({ model, server }: TeacherSource): string => JSON.stringify([model, server ? toJson(ServerSpecSchema, server) : null]);

const whatWasRead = <T>(reading: Reading<T> | undefined): T | undefined => (reading && "value" in reading ? reading.value : undefined);

/** @param thrown codes of errors that are thrown on */
async function read<T>(work: () => Promise<T>, thrown: readonly ErrorCode[] = []): Promise<Reading<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    const { code, message } = RetortError.from(error);
    if (thrown.includes(code)) throw error;
    return { refusal: message };
  }
}
