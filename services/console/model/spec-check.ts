import { type Problem, RetortError } from "../../shared/base/errors.js";
import type { RunEstimate } from "../../shared/gen/retort/v1/estimate_pb.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { Answers } from "../source/source.js";
import { readSpec } from "./spec-text.js";

/** Something that is said of a spec. */
export interface Remark {
  readonly kind: "problem" | "warning";
  /** Where it is about a place: from 1. */
  readonly line: number | undefined;
  /** Empty where it is about no field. */
  readonly field: string;
  readonly message: string;
}

/** What came of checking a spec's text. */
export interface CheckedText {
  /** In the order of lines, problems first. */
  readonly remarks: readonly Remark[];
  /** The spec, if nothing is wrong with it. */
  readonly spec?: RunSpec;
  /** What that run is expected to take. */
  readonly estimate?: RunEstimate | undefined;
}

/**
 * Checks a spec's text: what can be read at all here, and the rest by the controller.
 *
 * @param validate asks the controller
 * @throws what went wrong in asking
 */
export async function checkSpecText(text: string, validate: (spec: RunSpec) => Promise<Answers>): Promise<CheckedText> {
  let written: ReturnType<typeof readSpec>;
  try {
    written = readSpec(text);
  } catch (error) {
    const { message, problems } = RetortError.from(error);
    return { remarks: problems.length ? remarksOf("problem", problems) : [{ kind: "problem", line: undefined, field: "", message }] };
  }
  const { spec, misfits, beside, located } = written;
  const answers = await validate(spec);
  const said = (found: Answers["problems"]) =>
    located(beside(found.map(({ field, message }) => ({ fieldPath: field, description: message }))));
  const problems = [...misfits, ...said(answers.problems)];
  const remarks = [...remarksOf("problem", problems), ...remarksOf("warning", said(answers.warnings))];
  return problems.length ? { remarks } : { remarks, spec, estimate: answers.estimate };
}

const remarksOf = (kind: Remark["kind"], problems: readonly Problem[]): Remark[] =>
  problems
    .map(({ fieldPath, description, place }): Remark => ({ kind, line: place?.line, field: fieldPath, message: description }))
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
