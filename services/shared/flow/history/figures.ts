import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import {
  type EvaluationFinished,
  EvaluationFinishedSchema,
  type ProcessFigures,
  ProcessFiguresSchema,
  type SampledFigures,
  SampledFiguresSchema,
  type StepFinished,
  StepFinishedSchema,
  TeacherEvaluationSchema,
  TeacherShareSchema,
} from "../../gen/retort/v1/events_pb.js";

/** A figure's name in camelCase, and its value. */
export type NamedValue = readonly [name: string, value: number];

/** Numbers that say where a figure belongs, and are none. */
const places: readonly string[] = ["step", "totalSteps", "version", "temperature"];

const numeric = (schema: DescMessage): string[] =>
  schema.fields
    .filter(({ fieldKind, scalar }) => fieldKind === "scalar" && scalar !== ScalarType.STRING && scalar !== ScalarType.BOOL)
    .map(({ localName }) => localName)
    .filter((name) => !places.includes(name));

const namesOf = {
  step: numeric(StepFinishedSchema),
  evaluation: numeric(EvaluationFinishedSchema),
  sampled: numeric(SampledFiguresSchema),
  share: numeric(TeacherShareSchema),
  teacher: numeric(TeacherEvaluationSchema),
  process: numeric(ProcessFiguresSchema),
};

function* values(names: readonly string[], message: object, prefix = ""): Generator<NamedValue> {
  for (const name of names) {
    const value = (message as Readonly<Record<string, number | bigint | undefined>>)[name];
    if (value !== undefined) yield [`${prefix}${name}`, Number(value)];
  }
}

function* parts(prefix: string, components: Readonly<Record<string, number>>): Generator<NamedValue> {
  for (const [kind, value] of Object.entries(components)) yield [`${prefix}.${kind}`, value];
}

/** Every figure of a step by its field's name, and each teacher's: `teachers.NAME.divergence`. Those that it doesn't have are left out. */
export function* stepValues(step: StepFinished): Generator<NamedValue> {
  yield* values(namesOf.step, step);
  for (const share of step.teachers) yield* values(namesOf.share, share, `teachers.${share.name}.`);
}

/** What a process used in its interval, by field. */
export const processValues = (figures: ProcessFigures): Iterable<NamedValue> => values(namesOf.process, figures);

/**
 * Every figure of an evaluation: `evaluation.greedy`, `evaluation.greedyRewardComponents.KIND`, and of each temperature
 * `evaluation.samples.T.quality`, `evaluation.samples.T.passAt.K`, `evaluation.samples.T.rewardComponents.KIND`; of each teacher
 * `evaluation.teachers.NAME.recovered`.
 */
export function* evaluationValues(evaluation: EvaluationFinished): Generator<NamedValue> {
  yield* values(namesOf.evaluation, evaluation, "evaluation.");
  yield* parts("evaluation.greedyRewardComponents", evaluation.greedyRewardComponents);
  for (const sampled of evaluation.samples) yield* sampledValues(sampled);
  for (const teacher of evaluation.teachers) yield* values(namesOf.teacher, teacher, `evaluation.teachers.${teacher.name}.`);
}

function* sampledValues(sampled: SampledFigures): Generator<NamedValue> {
  const prefix = `evaluation.samples.${sampled.temperature}`;
  yield* values(namesOf.sampled, sampled, `${prefix}.`);
  for (const { k, value } of sampled.passAt) yield [`${prefix}.passAt.${k}`, value];
  yield* parts(`${prefix}.rewardComponents`, sampled.rewardComponents);
}
