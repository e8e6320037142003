import { resolve } from "node:path";
import { getGoTool, grpcurl, hasGo, versitygw } from "../tools/go-tool.js";
import { pythonWith } from "../tools/python.js";

/** What the example clients' Python needs. */
export const requirements = resolve("deploy/examples/clients/python/requirements.txt");

/** Runs once before the integration tests: gets what they call Retort with and the S3 server, since building it beside other tests would starve those. */
export default async function setup(): Promise<void> {
  if (await hasGo()) {
    await getGoTool(grpcurl);
    await getGoTool(versitygw);
  }
  await pythonWith("grpcio", requirements);
}
