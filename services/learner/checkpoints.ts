import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { WorkerClient } from "../shared/base/workers.js";
import { writeAtomically } from "../shared/ml/models/files.js";
import type { TrainHost } from "./train-host.js";

const stateName = "state.json";
const directoryName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** A run's checkpoints: each a Hugging Face directory with the optimiser's state. `state.json` is written last. */
export class Checkpoints {
  readonly #root: string;
  readonly #keep: number;

  constructor(root: string, keep: number) {
    this.#root = root;
    this.#keep = keep;
  }

  /** Saves one, then removes those beyond the number to keep. */
  async save(host: WorkerClient<TrainHost>, step: number): Promise<{ path: string; digest: string }> {
    const path = join(this.#root, directoryName(step));
    await rm(join(path, stateName), { force: true });
    await mkdir(path, { recursive: true });
    const digest = await host.save(path, true);
    await writeAtomically(join(path, stateName), Buffer.from(`${JSON.stringify({ step, digest })}\n`));
    for (const old of (await this.#complete()).slice(0, -this.#keep))
      await rm(join(this.#root, directoryName(old)), { recursive: true, force: true });
    return { path, digest };
  }

  /** The newest complete one. */
  async newest(): Promise<{ step: number; path: string } | undefined> {
    const step = (await this.#complete()).at(-1);
    return step === undefined ? undefined : { step, path: join(this.#root, directoryName(step)) };
  }

  /** Steps of the complete ones, rising. */
  async #complete(): Promise<number[]> {
    const names = await readdir(this.#root).catch(() => []);
    const steps = await Promise.all(
      names.map((name) =>
        readFile(join(this.#root, name, stateName), "utf8").then(
          (text) => [(JSON.parse(text) as { step: number }).step],
          () => [],
        ),
      ),
    );
    return steps.flat().sort((a, b) => a - b);
  }
}
