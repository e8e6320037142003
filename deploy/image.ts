import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { parseArgs } from "node:util";

/**
 * Builds the image where no registry can be reached: the locked packages are installed and the program is compiled on
 * this machine, which must have the platform and the C library of the base.
 *
 *     npm run image -- --tag retort:0.1.0 --base local/debian:12 --node local/node:24 [--variant cuda] [--network host]
 */
const { values } = parseArgs({
  options: {
    tag: { type: "string" },
    base: { type: "string" },
    node: { type: "string" },
    variant: { type: "string", default: "cpu" },
    network: { type: "string" },
    docker: { type: "string", default: "docker" },
  },
});
const { tag, base, node, variant, network, docker } = values;
if (!tag || !base) fail("--tag NAME:TAG and --base IMAGE are needed (and --node IMAGE, if the base has no node)");

const context = ".tools/image";
rmSync(context, { recursive: true, force: true });
mkdirSync(context, { recursive: true });
for (const file of ["package.json", "package-lock.json"]) cpSync(file, `${context}/${file}`);
run("npm", ["ci", "--omit=dev", "--prefix", context, "--no-fund", "--no-audit", "--loglevel=error"], { ONNXRUNTIME_NODE_INSTALL: "skip" });
cpSync("dist/services", `${context}/dist/services`, { recursive: true });
mkdirSync(`${context}/cuda`);
if (variant === "cuda")
  run(process.execPath, [`${context}/dist/services/cli.js`, "setup", "--cuda"], { RETORT_CUDA_DIR: `${context}/cuda` });
const build = { DEPENDENCIES: "host", VARIANT: variant, BASE: base, NODE: node ?? base };
const args = Object.entries(build).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
// BuildKit builds the stages that are needed and no others.
run(docker, ["build", "-q", ...(network ? ["--network", network] : []), "-f", "deploy/Dockerfile", "-t", tag, ...args, "."], {
  DOCKER_BUILDKIT: "1",
});
rmSync(context, { recursive: true });

function run(command: string, argv: readonly string[], env: NodeJS.ProcessEnv): void {
  const { status, error } = spawnSync(command, argv, { stdio: "inherit", env: { ...process.env, ...env } });
  if (error || status !== 0) fail(`"${command} ${argv.join(" ")}" failed${error ? `: ${error.message}` : ""}`);
}

function fail(message: string): never {
  console.error(`image: ${message}`);
  process.exit(1);
}
