import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "../../../services/shared/base/cache-directory.js";

const run = promisify(execFile);

/** A program written in Go that tests use: found on the PATH, or built once, at a pinned version, into the cache. */
export interface GoTool {
  readonly name: string;
  /** What `go install` takes; Go checks it against its checksum database. */
  readonly package: string;
  readonly version: string;
  /** Arguments that print the version, and what they must print; whatever is on the PATH but answers otherwise is not used. */
  readonly probe: readonly [argument: string, answer: RegExp];
}

/** Calls gRPC methods from a shell. */
export const grpcurl: GoTool = {
  name: "grpcurl",
  package: "github.com/fullstorydev/grpcurl/cmd/grpcurl",
  version: "v1.9.4",
  probe: ["-version", /grpcurl/],
};

/** Renders the chart. */
export const helm: GoTool = { name: "helm", package: "helm.sh/helm/v3/cmd/helm", version: "v3.22.0", probe: ["version", /Version:"v3\./] };

/** Holds manifests against the schemas of Kubernetes. */
export const kubeconform: GoTool = {
  name: "kubeconform",
  package: "github.com/yannh/kubeconform/cmd/kubeconform",
  version: "v0.8.0",
  probe: ["-v", /v|development/],
};

/** Tries Prometheus' rules. Only found, never built: its module can't be installed by `go install`, and takes minutes to compile. */
export const promtool: GoTool = {
  name: "promtool",
  package: "github.com/prometheus/prometheus/cmd/promtool",
  version: "v0.315.1",
  probe: ["--version", /promtool, version/],
};

/** A real S3 server over a directory. */
export const versitygw: GoTool = {
  name: "versitygw",
  package: "github.com/versity/versitygw/cmd/versitygw",
  version: "v1.8.0",
  probe: ["--version", /Version/i],
};

const pathOf = ({ name, version }: GoTool): string => join(cacheDirectory(), `${name}-${version}`, name);

/** The tool's binary, if it is there already. */
export async function findGoTool(tool: GoTool): Promise<string | undefined> {
  const [argument, answer] = tool.probe;
  for (const candidate of [tool.name, pathOf(tool)]) {
    const printed = await run(candidate, [argument]).catch(() => undefined);
    if (printed && answer.test(printed.stdout + printed.stderr)) return candidate;
  }
  return undefined;
}

/** True if Go is there to build with. */
export const hasGo = (): Promise<boolean> =>
  run("go", ["version"]).then(
    () => true,
    () => false,
  );

/** Finds the tool, or builds it. @throws what Go said if the build fails */
export async function getGoTool(tool: GoTool): Promise<string> {
  const found = await findGoTool(tool);
  if (found) return found;
  console.log(`building ${tool.name} ${tool.version} with Go (once) …`);
  const env = { ...process.env, GOBIN: join(pathOf(tool), ".."), GOFLAGS: "" };
  await run("go", ["install", `${tool.package}@${tool.version}`], { env, maxBuffer: 1 << 26 });
  return pathOf(tool);
}

/** Downloads a Go module, as published, and gives its folder. */
export async function goModule(path: string, version: string): Promise<string> {
  const { stdout } = await run("go", ["mod", "download", "-json", `${path}@${version}`], { env: { ...process.env, GOFLAGS: "" } });
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}
