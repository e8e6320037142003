import { readdir } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { counted } from "../../shared/base/counted.js";
import { makeDirectory } from "../../shared/base/make-directory.js";
import type { TrainingSample } from "../../shared/gen/retort/v1/events_pb.js";
import { AppendFile } from "./append-file.js";
import { restartEvent, scalarsEvent, stepOfEvent, textEvent, versionEvent } from "./tf-event.js";
import { readTfRecords, tfRecord } from "./tf-record.js";
import type { TrackedEvaluation, TrackedPoint, TrackedStep, Tracker } from "./tracker.js";

/** Before the names of evaluations' figures, in ReadFigures and here. */
const [evaluationPrefix, evaluationGroup] = ["evaluation.", "evaluation/"] as const;

/**
 * TensorBoard's event files: the figures of steps as `train/NAME`, those of evaluations as `evaluation/NAME`, samples as texts. Each
 * learner of a run has a file of its own; what one had written beyond the step that the next goes on behind is taken out of it,
 * so no reader finds a step twice, and a TensorBoard that shows it forgets it.
 */
export class TensorboardTracker implements Tracker {
  readonly name = "TensorBoard's event file";
  readonly #file: AppendFile;
  #evaluated: number;

  private constructor(file: AppendFile, evaluated: number) {
    this.#file = file;
    this.#evaluated = evaluated;
  }

  /**
   * Begins a learner's file.
   *
   * @param fence of the learner
   * @param fromStep that it goes on behind
   */
  static async open(directory: string, fence: bigint, fromStep: number): Promise<TensorboardTracker> {
    await makeDirectory(directory);
    const seconds = Date.now() / 1000;
    const before = (await readdir(directory)).filter((name) => name.includes(".tfevents.") && !name.endsWith(".tmp")).sort();
    let evaluated = -1;
    for (const name of before) evaluated = Math.max(evaluated, await cutBehind(join(directory, name), fromStep));
    // TensorBoard reads the files in the order of their names.
    const name = `events.out.tfevents.${Math.floor(seconds)}.${hostname()}.${process.pid}.${fence}`;
    const file = await AppendFile.open(join(directory, name), 0);
    await file.append(tfRecord(versionEvent(seconds)));
    if (before.length > 0) await file.append(tfRecord(restartEvent(seconds, fromStep + 1)));
    return new TensorboardTracker(file, evaluated);
  }

  step({ step, timeMs, values }: TrackedStep): Promise<void> {
    const tagged = values.map(([name, value]) => [`train/${name}`, value] as const);
    return this.#file.append(tfRecord(scalarsEvent(timeMs / 1000, step, tagged)));
  }

  async evaluation({ step, timeMs, values }: TrackedEvaluation): Promise<void> {
    if (this.#evaluated === step) return;
    this.#evaluated = step;
    const tagged = values.map(([name, value]) => [name.replace(evaluationPrefix, evaluationGroup), value] as const);
    await this.#file.append(tfRecord(scalarsEvent(timeMs / 1000, step, tagged)));
  }

  async samples({ step, timeMs }: TrackedPoint, samples: readonly TrainingSample[]): Promise<void> {
    const records = samples.map((sample, i) => tfRecord(textEvent(timeMs / 1000, step, `samples/${i}`, sampleText(sample))));
    await this.#file.append(Buffer.concat(records));
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Cuts a file before its first event of a later step. Returns the version of its last evaluation; -1 without one. */
async function cutBehind(path: string, step: number): Promise<number> {
  let [keep, evaluated, whole] = [0, -1, true];
  for await (const { data, end } of readTfRecords(path)) {
    const own = stepOfEvent(data);
    if (own > step) {
      whole = false;
      break;
    }
    if (data.includes(evaluationGroup)) evaluated = own;
    keep = end;
  }
  if (!whole && keep > 0) await (await AppendFile.open(path, keep)).close();
  return evaluated;
}

/** A sample in Markdown: indented code, so that nothing in it is markup. */
function sampleText({ prompt, tokens, reference, reward, teacher, staleness, finished, divergence }: TrainingSample): string {
  const code = (text: string) => text.replaceAll(/^/gm, "    ");
  const mean = divergence.length ? divergence.reduce((a, b) => a + b) / divergence.length : undefined;
  const facts = [
    mean === undefined ? "" : `divergence ${mean.toFixed(4)} per token`,
    reward === undefined ? "" : `reward ${reward}`,
    teacher ? `teacher ${teacher}` : "",
    `${counted(tokens.length, "token")}${finished ? "" : ", cut off"}`,
    `staleness ${staleness}`,
  ].filter(Boolean);
  const parts = [facts.join(" · "), "**Prompt**", code(prompt), "**Completion**", code(tokens.join(""))];
  return [...parts, ...(reference ? ["**Reference**", code(reference)] : [])].join("\n\n");
}
