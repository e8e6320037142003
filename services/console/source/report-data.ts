import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  type ListSamplesResponse,
  ListSamplesResponseSchema,
  type ReadFiguresResponse,
  ReadFiguresResponseSchema,
} from "../../shared/gen/retort/v1/controller_pb.js";
import {
  type EvaluationFinished,
  EvaluationFinishedSchema,
  type RunEvent,
  RunEventSchema,
  type SamplesRecorded,
} from "../../shared/gen/retort/v1/events_pb.js";
import { type Run, RunSchema } from "../../shared/gen/retort/v1/run_pb.js";

/** A run as a file holds it. */
export interface ReportedRun {
  readonly run: Run;
  /** Thinned. */
  readonly figures: ReadFiguresResponse;
  /** In the order of steps. */
  readonly samples: readonly SamplesRecorded[];
  /** In order, those without figures or samples. */
  readonly events: readonly RunEvent[];
}

/** A model that was measured beside the runs: a teacher, a start, what a run made. */
export interface ReportedModel {
  readonly name: string;
  /** What else is to be known of it, by the names of columns. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly evaluation: EvaluationFinished;
  /** The run that made it. */
  readonly runId?: string;
  /** True for one that the others aren't compared with: their teacher. */
  readonly aside?: boolean;
}

/** What a report says first of all. */
export interface Summary {
  readonly title: string;
  readonly paragraphs: readonly string[];
  /** In the order of the table; the first that isn't aside is what the completions of the others are held against. */
  readonly models: readonly ReportedModel[];
}

/** What a report is made of. */
export interface ReportData {
  readonly summary?: Summary;
  readonly runs: readonly ReportedRun[];
  /** Where and when it was written, in words. */
  readonly about: readonly (readonly [name: string, value: string])[];
}

interface RunJson {
  readonly run: JsonValue;
  readonly figures: JsonValue;
  readonly samples: JsonValue;
  readonly events: readonly JsonValue[];
}

interface ReportJson {
  readonly summary?: Omit<Summary, "models"> & {
    readonly models: readonly (Omit<ReportedModel, "evaluation"> & { evaluation: JsonValue })[];
  };
  readonly runs: readonly RunJson[];
  readonly about: ReportData["about"];
}

/** A report's data as JSON text that may stand in a script element. */
export function writeReportData({ summary, runs, about }: ReportData): string {
  const json = runs.map(
    ({ run, figures, samples, events }): RunJson => ({
      run: toJson(RunSchema, run),
      figures: toJson(ReadFiguresResponseSchema, figures),
      samples: toJson(ListSamplesResponseSchema, create(ListSamplesResponseSchema, { steps: [...samples] })),
      events: events.map((event) => toJson(RunEventSchema, event)),
    }),
  );
  const models = summary?.models.map((model) => ({ ...model, evaluation: toJson(EvaluationFinishedSchema, model.evaluation) }));
  return JSON.stringify({ summary: summary && { ...summary, models }, runs: json, about }).replaceAll("<", "\\u003c");
}

/** Reads what {@link writeReportData} wrote. */
export function readReportData(text: string): ReportData {
  const { summary, runs, about } = JSON.parse(text) as ReportJson;
  return {
    about,
    summary: summary && {
      ...summary,
      models: summary.models.map((model) => ({ ...model, evaluation: fromJson(EvaluationFinishedSchema, model.evaluation) })),
    },
    runs: runs.map(({ run, figures, samples, events }) => ({
      run: fromJson(RunSchema, run),
      figures: fromJson(ReadFiguresResponseSchema, figures),
      samples: (fromJson(ListSamplesResponseSchema, samples) as ListSamplesResponse).steps,
      events: events.map((event) => fromJson(RunEventSchema, event)),
    })),
  };
}
