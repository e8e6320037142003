import { findGoTool, getGoTool, hasGo, helm, kubeconform, promtool } from "../../support/tools/go-tool.js";
import { getSchemas } from "./schemas.js";

/** Runs once before the chart's tests: gets what they check with. Building it beside other tests would starve those. */
export default async function setup(): Promise<void> {
  if (!(await hasGo())) {
    const missing = (await findGoTool(helm)) && (await findGoTool(kubeconform)) ? "the schemas of Kubernetes" : "helm and kubeconform";
    console.warn(`chart tests are skipped: Go is not on the PATH, and ${missing} come by way of it; install Go to run them`);
    return;
  }
  await getGoTool(helm);
  await getGoTool(kubeconform);
  await getSchemas();
  if (!(await findGoTool(promtool)))
    console.warn("no alert is made to ring: promtool is not on the PATH (Debian and Ubuntu have it in the package prometheus)");
}
