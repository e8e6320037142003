import { create } from "@bufbuild/protobuf";
import type { ReportedModel } from "../../console/source/report-data.js";
import { recordedRows } from "../../shared/flow/prompts/plan.js";
import { EvaluationFinishedSchema } from "../../shared/gen/retort/v1/events_pb.js";
import { tokenTexts } from "../../shared/ml/text/token-texts.js";
import type { Tokenizer } from "../../shared/ml/text/tokenizer.js";
import type { Contender } from "./compare.js";

/** Held-out prompts whose completions a report shows. */
const shownRows = 16;

/**
 * A model that was compared, as a report has it.
 *
 * @param tokenizer of its completions
 * @param facts what else is to be known of it
 */
export function reportedModel(
  { name, evaluation, history }: Contender,
  tokenizer: Tokenizer,
  facts: ReportedModel["facts"],
): Omit<ReportedModel, "aside"> {
  const { rows, metric, greedy, sampled, forwardKl, reverseKl, teacherNll, samples, greedySamples } = evaluation;
  const shown = recordedRows({ tracking: { examples: shownRows } }, rows);
  const drawn = shown.flatMap((row) => samples.find((sample) => sample.row === row) ?? []);
  const tokens = tokenTexts(
    tokenizer,
    drawn.map(({ ids }) => ids),
  );
  const examples = drawn.map(({ row, prompt, reference, text, quality, divergence }, i) => {
    const best = greedySamples.find((sample) => sample.row === row);
    return {
      ...{ row, prompt, reference, completion: text, tokens: tokens[i], divergence: [...(divergence ?? [])], quality },
      ...{ greedy: best?.text, greedyQuality: best?.quality },
    };
  });
  const figures = { metric, greedy, sampled, forwardKl, reverseKl, teacherNll };
  return {
    ...{ name, facts, runId: history?.run.runId },
    evaluation: create(EvaluationFinishedSchema, { prompts: rows, ...figures, examples }),
  };
}
