import { join } from "node:path";
import { found } from "../../shared/base/found.js";
import { defaultColumns, readDataset } from "../../shared/flow/prompts/dataset.js";
import { split } from "../../shared/flow/prompts/plan.js";
import { textMetrics } from "../../shared/ml/text/metrics/table.js";
import { taskNamed } from "../../shared/tasks/table.js";
import type { Also } from "../plan/experiment.js";
import { dataOf, type RunJob } from "../plan/jobs.js";
import type { Places } from "../plan/places.js";
import type { Host, ServedModel } from "./host.js";

/** Rows that are measured, and rows of one call. */
const [limit, batch] = [400, 100];

/** Measures a job's finished student, served alone, on greedy completions. Returns the mean of each measure by its name. */
export async function measureAlso(
  { recipe, output }: RunJob,
  { rows, measures }: Also,
  places: Places,
  host: Host,
): Promise<Record<string, number>> {
  const { task, alsoTaught = task, maxNewTokens } = recipe;
  const { check } = taskNamed(rows === "held-out" ? task : alsoTaught);
  const examples = everyOther(await readDataset(join(dataOf(recipe, places), `${rows}.jsonl`), defaultColumns));
  const server = await host.serveModel(output);
  try {
    const texts: string[] = [];
    for (const part of split(examples, batch))
      texts.push(
        ...(await complete(
          server,
          part.map(({ prompt }) => prompt as string),
          maxNewTokens,
        )),
      );
    return Object.fromEntries(
      Object.entries(measures).map(([name, measure]) => {
        const values = examples.map(({ prompt, reference }, i) =>
          measure === "check" ? check(prompt as string, texts[i]!) : textMetrics[measure](texts[i]!, reference ?? ""),
        );
        return [name, values.reduce((a, b) => a + b, 0) / values.length];
      }),
    );
  } finally {
    await server.stop();
  }
}

/** At most `limit` rows, spread evenly: the examples of a mixture lie kind by kind. */
function everyOther<T>(rows: readonly T[]): T[] {
  const stride = Math.max(1, Math.ceil(rows.length / limit));
  return rows.filter((_, i) => i % stride === 0);
}

async function complete({ client }: ServedModel, prompts: readonly string[], maxNewTokens: number): Promise<string[]> {
  const texts = prompts.map(() => "");
  const inputs = prompts.map((value) => ({ input: { case: "text" as const, value } }));
  for await (const answer of client.sample({ request: { prompts: inputs, sampling: { temperature: 0, maxNewTokens } } })) {
    const { prompt, text } = found(answer.piece, "the piece of the model's answer");
    texts[prompt] += text;
  }
  return texts;
}
