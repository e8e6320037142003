import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EvaluationFinishedSchema, ExampleSchema } from "../../shared/gen/retort/v1/events_pb.js";
import type { Reporter } from "../context/reporter.js";
import type { EvaluationFigures } from "./evaluation-figures.js";

type Example = MessageInitShape<typeof ExampleSchema>;

/** What a learner's examples may take in the stream that all runs' events share: 300 evaluations of 16 prompts take 16 MB at 256 tokens each. */
const budgetBytes = 32 * 2 ** 20;

/** Bytes that a message takes beside its own content, within another. */
const overheadBytes = 8;

/** Bounds what the completions of a run's evaluations take: of an event, and of the stream of events. */
export class ExampleBudget {
  readonly #report: Pick<Reporter, "mostBytes" | "warning">;
  readonly #budget: number;
  #bytes = 0;

  /** @param budget most bytes of all examples */
  constructor(report: Pick<Reporter, "mostBytes" | "warning">, budget = budgetBytes) {
    this.#report = report;
    this.#budget = budget;
  }

  /** The examples of an evaluation that have room, in order. What is left out is told of once. */
  async admit(version: number, figures: EvaluationFigures): Promise<Example[]> {
    const all = figures.examples ?? [];
    const kept: Example[] = [];
    let bytes = toBinary(EvaluationFinishedSchema, create(EvaluationFinishedSchema, { ...figures, examples: [] })).length;
    for (const example of all) {
      const size = toBinary(ExampleSchema, create(ExampleSchema, example)).length + overheadBytes;
      if (bytes + size > this.#report.mostBytes || this.#bytes + size > this.#budget) continue;
      kept.push(example);
      bytes += size;
      this.#bytes += size;
    }
    if (kept.length < all.length) await this.#warn(version, all.length - kept.length);
    return kept;
  }

  #warn(version: number, left: number): Promise<void> {
    const { mostBytes } = this.#report;
    return this.#report.warning(
      `the evaluation of version ${version} keeps the completions of ${left} held-out prompts less than it was to: an event may take ${mostBytes} bytes, those of a run ${Math.round(this.#budget / 2 ** 20)} MiB; lower tracking.examples or evaluation.maxNewTokens, or raise evaluation.everySteps`,
      "examples",
    );
  }
}
