import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WeightsFile } from "../graph/weights-file.js";

const open = new Set<TemporaryWeights>();

/**
 * A file of weights of our own, in the temporary directory: converted from a checkpoint's, or too large for a model. Sessions
 * map it. It is removed when it is closed, or at the latest when the process ends; what is mapped then stays until its session
 * ends.
 */
export class TemporaryWeights extends WeightsFile {
  readonly #directory: string;

  constructor() {
    const directory = mkdtempSync(join(realpathSync(tmpdir()), `retort-weights-${process.pid}-`));
    super(join(directory, "weights"));
    this.#directory = directory;
    if (open.size === 0) process.once("exit", closeAll);
    open.add(this);
  }

  override close(): void {
    if (!open.delete(this)) return;
    super.close();
    rmSync(this.#directory, { recursive: true, force: true });
    if (open.size === 0) process.off("exit", closeAll);
  }
}

function closeAll(): void {
  for (const weights of open) weights.close();
}
