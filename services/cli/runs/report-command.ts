import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { arch, cpus, platform, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { type ReportData, type ReportedRun, writeReportData } from "../../console/source/report-data.js";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { RetortError } from "../../shared/base/errors.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import { RunHistory } from "../../shared/flow/history/run-history.js";
import { thin } from "../../shared/flow/history/thin.js";
import { FigureSchema, ReadFiguresResponseSchema } from "../../shared/gen/retort/v1/controller_pb.js";
import type { RunEvent } from "../../shared/gen/retort/v1/events_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import { addCommand, print, wholeNumber } from "../command.js";
import type { ControllerClient } from "../local.js";
import { type ControllerOptions, controllerOptions, withController } from "./controller.js";
import { findRun } from "./find-run.js";
import { runOf } from "./runs.js";

/** How long a run that goes on says nothing before it counts as read. */
const quietMs = 1500;

/** Newest activities that are kept of a run: what the timeline shows. */
const mostActivities = 20_000;

interface ReportOptions extends ControllerOptions {
  readonly out: string;
  readonly points: number;
}

/** Adds `retort report`. */
export function addReportCommand(program: Command): void {
  const command = addCommand(program, "Runs:", "report <run...>", "write a report of runs as one HTML file that needs nothing else", [
    ["report on-policy-251125-…", "writes report.html: curves, evaluations, samples, timeline, spec"],
    ["report sft-… on-policy-… --out both.html", "compares two runs"],
  ]);
  controllerOptions(command)
    .option("--out <file>", "the file", "report.html")
    .option("--points <n>", "most points of a curve", wholeNumber(2, 100_000), 1000)
    .action((named: string[], options: ReportOptions) =>
      withController(options, async (controller) => {
        const runs: ReportedRun[] = [];
        const runIds = await Promise.all(named.map((one) => findRun(controller, one)));
        for (const runId of new Set(runIds)) runs.push(await readRun(controller, runId, options.points));
        await writeAtomically(options.out, Buffer.from(await reportHtml({ runs, about: about(new Date()) })));
        print(program, { report: options.out, runs: runs.map(({ run }) => run.runId) }, options.out);
      }),
    );
}

/** Reads all that a report says of a run; of one that goes on, what it has said until now. */
async function readRun(controller: ControllerClient, runId: string, maxPoints: number): Promise<ReportedRun> {
  const run = runOf(await controller.getRun({ runId }));
  const history = new RunHistory();
  const events: RunEvent[] = [];
  let activities: RunEvent[] = [];
  for await (const event of said(controller, run, history)) {
    history.push(event);
    const { case: kind } = event.event;
    if (kind === "activity") activities.push(event);
    else if (kind !== "stepFinished" && kind !== "samplesRecorded" && kind !== "processFigures") events.push(event);
    if (activities.length > 2 * mostActivities) activities = activities.slice(-mostActivities);
  }
  const figures = [...history.figures].map(([name, series]) => create(FigureSchema, { name, ...thin(series, maxPoints) }));
  return {
    run: runOf(await controller.getRun({ runId })),
    figures: create(ReadFiguresResponseSchema, { figures, lastStep: history.step }),
    samples: history.samples,
    events: [...events, ...activities.slice(-mostActivities)].sort((a, b) => Number(a.sequence - b.sequence)),
  };
}

/** A run's events: to its end, or until a run that goes on has told what it had done and is quiet. */
async function* said(controller: ControllerClient, { runId, step }: Run, history: RunHistory): AsyncGenerator<RunEvent> {
  const enough = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  try {
    for await (const { event } of controller.watchRun({ runId }, { signal: enough.signal })) {
      if (event) yield event;
      clearTimeout(timer);
      if (history.step >= step) timer = setTimeout(() => enough.abort(), quietMs);
    }
  } catch (error) {
    if (!enough.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** What wrote a report, where and when. */
function about(now: Date): ReportData["about"] {
  const { version } = JSON.parse(readFileSync(new URL("../../../../package.json", import.meta.url), "utf8")) as { version: string };
  const cores = cpus();
  return [
    ["written by Retort", version],
    ["Node", process.version],
    ["on", `${platform()} ${arch()}, ${cores.length} × ${cores[0]?.model.trim() ?? "?"}, ${bytesInWords(totalmem())}`],
    ["at", `${now.toISOString().slice(0, 19).replace("T", " ")} UTC`],
  ];
}

/** A report as one HTML file: the page's own program and style, and the data. Its policy lets nothing else in. */
async function reportHtml(data: ReportData): Promise<string> {
  // A script element ends at the first "</script" of its text, wherever that stands.
  const script = (await built("console.js")).replaceAll("</script", "<\\/script");
  const style = await built("console.css");
  const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; form-action 'none'`;
  const title = data.runs.map(({ run }) => run.runId.replace(/[^a-z0-9-]/g, "")).join(", ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Retort: ${title}</title>
<style>${style}</style>
</head>
<body>
<div id="app"></div>
<script type="application/json" id="retort-report">${writeReportData(data)}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}

async function built(name: string): Promise<string> {
  const path = fileURLToPath(new URL(`../../console/${name}`, import.meta.url));
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new RetortError("FailedPrecondition", `${path} cannot be read (${error.code}); \`npm run build\` makes it`);
  });
}
