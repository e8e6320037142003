import { readFile } from "node:fs/promises";
import { type ReportData, readReportData } from "../../../services/console/source/report-data.js";

/** The data of a report, as its page reads it. */
export async function reportIn(path: string): Promise<ReportData> {
  const [, data] = /<script type="application\/json" id="retort-report">(.*?)<\/script>/s.exec(await readFile(path, "utf8")) ?? [];
  if (data === undefined) throw new Error(`${path} holds no report`);
  return readReportData(data);
}
