import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  type ListSamplesResponse,
  ListSamplesResponseSchema,
  type ReadFiguresResponse,
  ReadFiguresResponseSchema,
} from "../../shared/gen/retort/v1/controller_pb.js";
import { type RunEvent, RunEventSchema, type SamplesRecorded } from "../../shared/gen/retort/v1/events_pb.js";
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

/** What a report is made of. */
export interface ReportData {
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

/** A report's data as JSON text that may stand in a script element. */
export function writeReportData({ runs, about }: ReportData): string {
  const json = runs.map(
    ({ run, figures, samples, events }): RunJson => ({
      run: toJson(RunSchema, run),
      figures: toJson(ReadFiguresResponseSchema, figures),
      samples: toJson(ListSamplesResponseSchema, create(ListSamplesResponseSchema, { steps: [...samples] })),
      events: events.map((event) => toJson(RunEventSchema, event)),
    }),
  );
  return JSON.stringify({ runs: json, about }).replaceAll("<", "\\u003c");
}

/** Reads what {@link writeReportData} wrote. */
export function readReportData(text: string): ReportData {
  const { runs, about } = JSON.parse(text) as { runs: readonly RunJson[]; about: ReportData["about"] };
  return {
    about,
    runs: runs.map(({ run, figures, samples, events }) => ({
      run: fromJson(RunSchema, run),
      figures: fromJson(ReadFiguresResponseSchema, figures),
      samples: (fromJson(ListSamplesResponseSchema, samples) as ListSamplesResponse).steps,
      events: events.map((event) => fromJson(RunEventSchema, event)),
    })),
  };
}
