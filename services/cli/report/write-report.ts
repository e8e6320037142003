import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type ReportData, writeReportData } from "../../console/source/report-data.js";
import { RetortError } from "../../shared/base/errors.js";
import { machineInWords, softwareInWords } from "../../shared/base/machine.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";

/** What tells a report of ours from other files. */
const mark = "<!-- written by Retort -->";
const oldMark = "<!-- written by retort demo -->";

/** Whether a file begins as a report of ours does. */
export const isReport = (head: string): boolean => head.includes(mark) || head.includes(oldMark);

/** Writes a report as one HTML file that needs nothing else: the page's own program and style, and the data. */
export async function writeReport(path: string, data: Omit<ReportData, "about">): Promise<void> {
  await writeAtomically(path, Buffer.from(await reportHtml({ ...data, about: about(new Date()) })));
}

/** What wrote a report, where and when. */
const about = (now: Date): ReportData["about"] => [
  ["written by", softwareInWords()],
  ["on", machineInWords()],
  ["at", `${now.toISOString().slice(0, 19).replace("T", " ")} UTC`],
];

/** A report as HTML. Its policy lets nothing else in. */
async function reportHtml(data: ReportData): Promise<string> {
  // A script element ends at the first "</script" of its text, wherever that stands.
  const script = (await built("console.js")).replaceAll("</script", "<\\/script");
  const style = await built("console.css");
  const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; form-action 'none'`;
  const title = escapeHtml(data.summary?.title ?? data.runs.map(({ run }) => run.runId).join(", "));
  return `<!doctype html>
${mark}
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

const escapeHtml = (text: string): string => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c] ?? c);
