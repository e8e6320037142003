import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { Command } from "commander";
import { addCommand, print, wholeNumber } from "../command.js";
import { reproduceHost } from "./host.js";

/** The experiments, as `retort --help` names them: their own room is loaded only when one of them runs. */
export const experimentNames = [
  "baselines",
  "controls",
  "data-efficiency",
  "divergences",
  "lambda",
  "mathematics",
  "multi-teacher",
  "off-vs-on-policy",
  "rl",
  "staleness",
  "summarisation",
  "task-agnostic",
  "tokens",
  "turns",
] as const;

interface Options {
  readonly seeds?: number;
  readonly quick?: boolean;
  readonly jobs: number;
  readonly dataDir: string;
  readonly out: string;
  readonly force?: boolean;
}

/** Adds `retort reproduce`. */
export function addReproduceCommand(program: Command): void {
  const described = `the paper's experiments, small but real: ${experimentNames.join(", ")}, or all`;
  addCommand(program, "Start here:", "reproduce <name>", described, [
    ["reproduce divergences --quick", "fewer arms, steps and seeds, to see it work"],
    ["reproduce all", "every experiment with five seeds; goes on where it was interrupted"],
  ])
    .option("--seeds <n>", "seeds of every arm (default: 5, with --quick 2)", wholeNumber(1))
    .option("--quick", "fewer arms, steps and seeds: all experiments in about 20 minutes on two cores")
    .option("--jobs <n>", "runs side by side", wholeNumber(1), availableParallelism())
    .option("--data-dir <dir>", "directory for models and finished runs; a finished run is never repeated", ".retort/reproduce")
    .option("--out <dir>", "directory for tables and figures", "reproduction")
    .option("--force", "use directories that hold other files; only files of the same names are replaced")
    .action(async (name: string, given: Options) => {
      const { quick = false, seeds = quick ? 2 : 5, dataDir, out } = given;
      const { reproduceNamed } = await import("../../reproduce/reproduce.js");
      const options = { ...given, quick, seeds, dataDir: resolve(dataDir), out: resolve(out), host: reproduceHost(process.stderr) };
      print(program, await reproduceNamed(name, options), "");
    });
}
