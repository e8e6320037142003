import { promptOfRow } from "../../shared/codec/prompt-of-row.js";
import type { Row } from "../../shared/flow/prompts/dataset.js";
import type { TextMetric } from "../../shared/ml/text/metrics/table.js";
import { chatSettings } from "../models/chat-options.js";
import { type Evaluation, evaluateModel } from "../models/evaluate-model.js";
import { type ModelServer, serveModel } from "../models/model-server.js";
import { wordsOf } from "../models/model-words.js";
import type { RunHistory } from "../runs/runs.js";
import { startBar } from "../terminal/bar.js";
import { styleFor } from "../terminal/style.js";

/** A model that is compared. */
export interface Student {
  readonly name: string;
  /** What it was given to learn from. */
  readonly data: string;
  readonly directory: string;
  /** Of the run that trained it, if it was trained here. */
  readonly history?: RunHistory;
}

/** A model that was compared. */
export interface Contender extends Student {
  readonly evaluation: Evaluation;
}

/** How models are compared. */
export interface Comparison {
  /** What the rows are called: "numbers". */
  readonly what: string;
  readonly metric: TextMetric | undefined;
  readonly maxNewTokens: number;
  /** Prompts go through the model's chat template. */
  readonly chat: boolean;
}

/** Measures every model on held-out rows, against the first, the teacher. */
export async function compareAll(
  students: readonly [Student, ...Student[]],
  rows: readonly Row[],
  { what, metric, maxNewTokens, chat }: Comparison,
): Promise<Contender[]> {
  console.error(styleFor(process.stderr).bold(`\nmeasuring every model on the held-out ${what}`));
  const bar = startBar("measuring", rows.length * students.length);
  const teacher = await serveModel(students[0].directory);
  const contenders: Contender[] = [];
  try {
    for (const [i, student] of students.entries()) {
      const { encoder } = await wordsOf(student.directory, chatSettings({ chat }));
      const model: ModelServer = i === 0 ? teacher : await serveModel(student.directory);
      const stop = () => (model === teacher ? undefined : model.stop());
      // The teacher is as far from itself as can be said without measuring.
      const [judges, known] = i === 0 ? [{}, { forwardKl: 0, reverseKl: 0 }] : [{ teacher }, {}];
      const evaluation = await evaluateModel(model, judges, rows, {
        prompts: encoder.prompts(rows.map(promptOfRow), (i) => rows[i]!.where),
        metric,
        maxNewTokens,
        seed: 1,
        temperatures: [1],
        samplesPerPrompt: 1,
        passAt: [],
        selfBleuUnit: "character",
        rewards: [],
        progress: (done, total) => bar.update((i + done / total) * rows.length),
      }).finally(stop);
      contenders.push({ ...student, evaluation: { ...evaluation, ...known } });
    }
  } finally {
    bar.stop();
    await teacher.stop();
  }
  return contenders;
}
