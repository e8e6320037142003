import type { Problem } from "../../shared/base/errors.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { NamedModel, Words } from "./named-model.js";

/** Rows of the vocabulary that all models of a run have that share one, unless the spec says how many to use. */
export const commonRows = ({ vocabSize }: RunSpecValid, models: readonly NamedModel[]): number =>
  vocabSize || Math.min(...sharing(models).map(({ rows }) => rows));

/** Most classes that every teacher of a run can name;. @param teachers one or more */
export const mostClasses = (spec: RunSpecValid, student: NamedModel | undefined, teachers: readonly NamedModel[]): number => {
  const shared = sharing(teachers);
  const own = teachers.filter(({ ownTokenizer }) => ownTokenizer).map(({ rows }) => rows);
  return Math.min(...own, ...(shared.length > 0 ? [commonRows(spec, [...(student ? [student] : []), ...shared])] : []));
};

/** The models that speak the student's tokens. */
export const sharing = <M extends NamedModel>(models: readonly M[]): M[] => models.filter(({ ownTokenizer }) => !ownTokenizer);

/** Teachers that read prompts otherwise than the student, whose prompts they are given in tokens. */
export function layoutProblems(student: NamedModel, teachers: readonly NamedModel[]): Problem[] {
  const kinds = { one: "a decoder", two: "an encoder-decoder" } as const;
  const apart = [student, ...teachers].some(({ layout }) => layout === "two") ? teachers.filter(({ ownTokenizer }) => ownTokenizer) : [];
  const mixed = apart.map(({ field, name }) => ({
    fieldPath: field.replace(/model$/, "tokenizer"),
    description: `is own, and ${name} or the student is an encoder-decoder: across tokenizers, decoders are compared alone; take two decoders`,
  }));
  const others = sharing(teachers)
    .filter(({ layout }) => layout !== student.layout)
    .map(({ field, name, layout }) => ({
      fieldPath: field,
      description: `${name} is ${kinds[layout]} and the student ${kinds[student.layout]}: the two put different tokens around a prompt, so neither can read the other's; take a teacher that is ${kinds[student.layout]}`,
    }));
  return [...mixed, ...others];
}

/** What can be done about vocabularies that can't be one. */
const wayAcross = "Where the two have different tokenizers, teachers[].tokenizer: own compares what they say of the same text";

/** What keeps models from sharing one vocabulary. */
export function vocabularyProblems(spec: RunSpecValid, student: NamedModel, all: readonly NamedModel[]): Problem[] {
  const teachers = sharing(all);
  const models = [student, ...teachers];
  const rows = commonRows(spec, models);
  const problems = teachers.flatMap((teacher) => {
    const differ = differenceOf(student.words, teacher.words);
    if (!differ?.conflict) return [];
    const { id, own, other } = differ.conflict;
    const description = `${teacher.name} has another vocabulary than the student: id ${id} is ${JSON.stringify(own)} to the student and ${JSON.stringify(other)} to the teacher; token-level distillation needs ids of one meaning. ${wayAcross}`;
    return [{ fieldPath: teacher.field, description }];
  });
  const short = models.find((model) => model.rows < spec.vocabSize);
  if (short)
    problems.push({
      fieldPath: "vocabSize",
      description: `is ${spec.vocabSize}, and ${short.name} has ${short.rows} rows; leave it out for the rows that all have`,
    });
  const crowded = models.find(({ words }) => words.size > rows);
  if (crowded && problems.length === 0)
    problems.push({
      fieldPath: spec.vocabSize ? "vocabSize" : crowded.field,
      description: `distributions would range over ${rows} rows, and the tokenizer of ${crowded.name} has ids up to ${crowded.words.size - 1}; the embeddings must have a row for each (resize_token_embeddings)${crowded === student ? "" : `. ${wayAcross}`}`,
    });
  return problems;
}

/** What is allowed, and worth knowing, about models that share a vocabulary. */
export function vocabularyWarnings(spec: RunSpecValid, student: NamedModel, teacher: NamedModel): string[] {
  if (teacher.ownTokenizer)
    return student.words.digest === teacher.words.digest && student.words.encodingDigest === teacher.words.encodingDigest
      ? [`${teacher.name} has the student's tokenizer: without \`tokenizer: own\` its whole distributions can be compared, exactly`]
      : [];
  const rows = commonRows(spec, [student, teacher]);
  const larger = [student, teacher].filter((model) => model.rows > rows);
  return [
    ...larger.map(
      (model) =>
        `${model.name} has ${model.rows} rows of vocabulary: distributions range over the first ${rows}, which all models have, renormalised; ${model.rows - rows} are left out`,
    ),
    ...extraTokens(student, teacher),
    ...specialNames(student, teacher),
    ...(student.words.encodingDigest === teacher.words.encodingDigest
      ? []
      : [
          `${teacher.name} turns text into ids otherwise than the student (tokenizer.json: normalizer, pre_tokenizer, merges, post_processor or flags of added tokens): it scores the student's ids, which it would not have chosen itself`,
        ]),
  ];
}

interface Difference {
  /** The first id that both have a token for, and not the same. */
  readonly conflict?: { readonly id: number; readonly own: string; readonly other: string };
  /** Tokens that only one of them has. */
  readonly own: readonly string[];
  readonly other: readonly string[];
}

/** How the vocabularies of two models differ; undefined if they don't. */
function differenceOf(one: Words, two: Words): Difference | undefined {
  if (one.digest === two.digest) return undefined;
  const [own, other]: [string[], string[]] = [[], []];
  for (let id = 0; id < Math.max(one.size, two.size); id++) {
    const [a, b] = [one.idToToken(id), two.idToToken(id)];
    if (a !== undefined && b !== undefined && a !== b) return { conflict: { id, own: a, other: b }, own, other };
    if (a !== undefined && b === undefined) own.push(a);
    if (b !== undefined && a === undefined) other.push(b);
  }
  return { own, other };
}

/** How many tokens a warning names. */
const namedTokens = 6;

function extraTokens(student: NamedModel, teacher: NamedModel): string[] {
  const differ = differenceOf(student.words, teacher.words);
  const told = (who: string, without: string, tokens: readonly string[]) => {
    if (tokens.length === 0) return [];
    const more = tokens.length > namedTokens ? ` and ${tokens.length - namedTokens} more` : "";
    return [
      `${who} has tokens that ${without} has not: ${tokens.slice(0, namedTokens).join(" ")}${more}; to ${without} they are untrained rows`,
    ];
  };
  return differ ? [...told("the student", teacher.name, differ.own), ...told(teacher.name, "the student", differ.other)] : [];
}

/** Special tokens whose names mean other ids; no more than names, since ids mean the same. */
function specialNames(student: NamedModel, teacher: NamedModel): string[] {
  const names = { bosId: "bos", eosId: "eos", padId: "pad", unkId: "unk" } as const;
  const say = ({ words }: NamedModel, key: keyof typeof names) => {
    const id = words.specials[key];
    return id === undefined ? "none" : `${words.idToToken(id)} (${id})`;
  };
  const differ = (Object.keys(names) as (keyof typeof names)[]).filter((key) => say(student, key) !== say(teacher, key));
  if (differ.length === 0) return [];
  const list = differ.map((key) => `${names[key]} is ${say(teacher, key)} there and ${say(student, key)} here`);
  return [`${teacher.name} names other special tokens than the student, whose names count: ${list.join(", ")}`];
}
