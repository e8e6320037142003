import { teacherName } from "../../shared/flow/runs/resolve.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { TeacherServiceDescribeResponse } from "../../shared/gen/retort/v1/teacher_pb.js";
import { isArchitecture, textLayoutOf } from "../../shared/ml/models/architectures/table.js";
import type { ModelConfig } from "../../shared/ml/models/config/model-config.js";
import { readDonor } from "../../shared/ml/models/files/donor.js";
import { inspectModel } from "../../shared/ml/models/files/inspect-model.js";
import { freshPositions } from "../../shared/ml/models/fresh-config.js";
import type { Lora } from "../../shared/ml/models/lora.js";
import { isSignalKind, type SignalKind } from "../../shared/ml/signals/table.js";
import type { TextLayout } from "../../shared/ml/text/encoder.js";
import type { Ends } from "../../shared/ml/text/ends.js";
import type { SpecialIds, Tokenizer } from "../../shared/ml/text/tokenizer.js";
import type { TeacherSource } from "./ask-teacher.js";

/** What a model's ids mean and how text becomes ids, as far as two models are compared by it. A tokenizer says all of it. */
export interface Words {
  /** The highest id and one. */
  readonly size: number;
  /** Equal digests, equal meaning of every id. */
  readonly digest: string;
  /** Digest of how text becomes ids. */
  readonly encodingDigest: string;
  readonly templateDigest: string;
  readonly specials: SpecialIds;
  /** The token of an id; undefined where there is none. */
  idToToken(id: number): string | undefined;
}

/** A model of a run, as far as it is known before a weight is read, with the field of the spec that names it. */
export interface NamedModel {
  readonly field: string;
  /** As it is called in a sentence. */
  readonly name: string;
  /** Of a teacher: what a run calls it. */
  readonly teacher?: string;
  /** Rows of the vocabulary. */
  readonly rows: number;
  readonly words: Words;
  /** Whether it reads a prompt and its completion as one text or as two. */
  readonly layout: TextLayout;
  /** Its family, as config.json names it. */
  readonly architecture: string;
  readonly ends: Pick<Ends, "declared" | "warnings">;
  /** How many it has, where a teacher says it. */
  readonly parameters?: number;
  /** Positions that it has; 0 or undefined where that is not known. */
  readonly maxPositions?: number;
  /** Of a teacher: the width of its hidden states. */
  readonly hiddenSize?: number;
  /** Element type of its weights, where that is known. */
  readonly dtype?: string;
  /** What is unusual about the model's files, and allowed; each names its directory. */
  readonly warnings: readonly string[];
  /** Of a teacher that gives some signals alone: which. */
  readonly offer?: SignalOffer;
  /** Of a teacher: it reads text in its own tokens, and needs none of the student's. */
  readonly ownTokenizer?: boolean;
}

/** The signals that a teacher elsewhere gives, at temperature 1 alone. */
export interface SignalOffer {
  readonly signals: readonly SignalKind[];
  /** Most classes of top_k. */
  readonly largestK: number;
  /** Who gives them and how, in words. */
  readonly source: string;
  /** How the server is asked; empty where that isn't told. */
  readonly dialect: string;
}

/** A run's student: its tokenizer reads the dataset too. */
export interface StudentModel extends NamedModel {
  readonly words: Tokenizer;
  readonly ends: Ends;
  readonly maxPositions: number;
  /** Undefined for one from scratch. */
  readonly config?: ModelConfig;
  /** Whether its directory is a PEFT adapter's. */
  readonly adapted: boolean;
  /** The adapter of an adapter's directory. */
  readonly lora?: Lora;
}

/** The field of a spec that says what its student's tokenizer is. */
export const studentField = ({ student }: RunSpecValid): string => (student.init ? "student.init.tokenizer" : "student.model");

/**
 * Reads what a run's student will be. One from scratch has no files, and as many rows as the model whose tokenizer it takes.
 *
 * @throws NotFound, DataLoss or InvalidArgument naming the file, the field or tensor, and the way out
 */
export async function readStudent(spec: RunSpecValid): Promise<StudentModel> {
  const named = { field: studentField(spec), name: "the student" };
  const { model, init } = spec.student;
  if (!init) {
    const { tokenizer, ...read } = await inspectModel(model);
    const { vocabSize: rows, architecture, maxPositions } = read.config;
    return { ...named, ...read, rows, words: tokenizer, layout: textLayoutOf(read.config), architecture, maxPositions };
  }
  const { tokenizer, ends, shared } = await readDonor(tokenizerOf(spec));
  const from = { words: tokenizer, layout: textLayoutOf(init), architecture: init.architecture, ends, warnings: [] };
  return { ...named, ...from, rows: Number(shared.vocab_size), maxPositions: freshPositions(init), adapted: false };
}

/** The directory whose tokenizer a student from scratch takes; empty if the spec names none. */
const tokenizerOf = ({ student, teachers: [first] }: RunSpecValid): string => student.init?.tokenizer || first?.model || "";

/** A teacher by its place in the spec, and the further models of an ensemble: what a spec's problems call them. */
export function teacherPlaces({ teachers }: RunSpecValid): TeacherPlace[] {
  const own = teachers.map(({ name, model, server, tokenizer }, i) => ({
    ...{ field: `teachers[${i}].model`, answers: server ? `teachers[${i}].server` : `teachers[${i}].model` },
    ...{ name: `the teacher "${teacherName(name)}"`, teacher: teacherName(name), source: { model, server } },
    ownTokenizer: tokenizer === "own",
  }));
  const members = teachers.flatMap(({ name, ensemble, tokenizer }, i) =>
    ensemble.map(({ model }, m) => {
      const field = `teachers[${i}].ensemble[${m}].model`;
      const called = { name: `model ${m + 2} of the ensemble "${teacherName(name)}"`, teacher: `${teacherName(name)}, model ${m + 2}` };
      return { field, answers: field, ...called, source: { model, server: undefined }, ownTokenizer: tokenizer === "own" };
    }),
  );
  return [...own, ...members];
}

/** A model that a teacher's process runs or asks. */
export interface TeacherPlace extends Pick<NamedModel, "field" | "name" | "teacher" | "ownTokenizer"> {
  /** The field that is at fault if it can't be described. */
  readonly answers: string;
  readonly source: TeacherSource;
}

/**
 * A teacher as it describes itself.
 *
 * @param student undefined if it could not be read; its tokens are the teacher's too where the digests are equal
 */
export function describedTeacher(
  { field, name, teacher, ownTokenizer = false }: Pick<NamedModel, "field" | "name" | "teacher" | "ownTokenizer">,
  description: TeacherServiceDescribeResponse,
  student: StudentModel | undefined,
): NamedModel {
  const { architecture, vocabSize, declaredEosIds, endWarnings, warnings, parameters, maxPositions, hiddenSize, dtype, offer } =
    description;
  return {
    ...{ field, name, ...(teacher !== undefined && { teacher }) },
    rows: vocabSize,
    words: describedWords(description, student?.words),
    // A family that this program does not know is one that another kind of teacher runs: a decoder.
    layout: isArchitecture(architecture) ? textLayoutOf({ architecture }) : "one",
    architecture,
    ends: { declared: declaredEosIds, warnings: endWarnings },
    parameters: Number(parameters),
    maxPositions,
    hiddenSize,
    dtype,
    warnings,
    ownTokenizer,
    ...(offer && { offer: { ...offer, signals: offer.signals.filter(isSignalKind) } }),
  };
}

function describedWords(description: TeacherServiceDescribeResponse, own: Words | undefined): Words {
  const { tokenizerSize, tokenizerDigest, encodingDigest, templateDigest, specialTokens, vocabulary } = description;
  const tokens = new Map(vocabulary?.ids.map((id, i) => [id, vocabulary.tokens[i]]));
  const { bosId, eosId, padId, unkId } = specialTokens ?? {};
  return {
    size: tokenizerSize,
    digest: tokenizerDigest,
    encodingDigest,
    templateDigest,
    specials: { bosId, eosId, padId, unkId },
    idToToken: (id) => (own?.digest === tokenizerDigest ? own.idToToken(id) : tokens.get(id)),
  };
}
