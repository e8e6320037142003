import { resolve } from "node:path";
import type { Command } from "commander";
import type { ReportedRun } from "../../console/source/report-data.js";
import { checkOwnFile } from "../../shared/base/own-file.js";
import { addCommand, print, wholeNumber } from "../command.js";
import { type ControllerOptions, controllerOptions, withController } from "../runs/controller.js";
import { findRun } from "../runs/find-run.js";
import { readRun, usualPoints } from "./read-run.js";
import { isReport, writeReport } from "./write-report.js";

interface ReportOptions extends ControllerOptions {
  readonly out: string;
  readonly points: number;
  readonly force?: boolean;
}

/** Adds `retort report`. */
export function addReportCommand(program: Command): void {
  const command = addCommand(program, "Runs:", "report <run...>", "write a report of runs as one HTML file that needs nothing else", [
    ["report on-policy-251125-…", "writes report.html: curves, evaluations, completions before and after, samples, timeline, spec"],
    ["report sft-… on-policy-… --out both.html", "compares two runs"],
  ]);
  controllerOptions(command)
    .option("--out <file>", "the file", "report.html")
    .option("--points <n>", "most points of a curve", wholeNumber(2, 100_000), usualPoints)
    .option("--force", "overwrite a file that Retort did not write")
    .action(async (named: string[], options: ReportOptions) => {
      const path = resolve(options.out);
      await checkOwnFile(path, { option: "--out", isOurs: isReport, force: options.force });
      await withController(options, async (controller) => {
        const runs: ReportedRun[] = [];
        const runIds = await Promise.all(named.map((one) => findRun(controller, one)));
        for (const runId of new Set(runIds)) runs.push(await readRun(controller, runId, options.points));
        await writeReport(path, { runs });
        print(program, { report: options.out, runs: runs.map(({ run }) => run.runId) }, options.out);
      });
    });
}
