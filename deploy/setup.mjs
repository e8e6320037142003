// Makes a checkout ready to run: installs the locked packages if they are missing or out of date, then compiles.
// Plain JavaScript without dependencies, because it runs before there are any.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildConsole } from "./console.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const [major, minor] = process.versions.node.split(".").map(Number);
// As `engines` of package.json has it.
if (major < 20 || (major === 20 && minor < 19))
  fail(`Retort needs Node 20.19 or newer; this is ${process.version}. Install one, such as 24 (https://nodejs.org), and run this again`);

const installed = "node_modules/.package-lock.json";
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync("package-lock.json").mtimeMs) {
  console.error("retort: installing packages …");
  // The CPU libraries come with the package; the GPU image runs onnxruntime's own download step explicitly.
  run("npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"], { ONNXRUNTIME_NODE_INSTALL: "skip" });
  // The compiler would go on from what it made of other packages.
  rmSync("dist/.tsbuildinfo", { force: true });
}
removeStale();
run(process.execPath, ["node_modules/typescript/bin/tsc"]);
// Of the page the compiler only checks the types: esbuild makes its files.
run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "services/console"]);
await buildConsole().catch((error) => fail(`the page could not be built: ${error.message}`));
if (existsSync("dist/services/cli.js")) chmodSync("dist/services/cli.js", 0o755);

/** Removes what was compiled from sources that are gone: tests that have moved would run twice. */
function removeStale() {
  for (const folder of ["deploy", "services", "test"]) {
    if (!existsSync(`dist/${folder}`)) continue;
    for (const file of readdirSync(`dist/${folder}`, { recursive: true })) {
      const path = `${folder}/${file}`;
      if (path.endsWith(".js") && path !== "services/console/console.js" && !existsSync(path.replace(/\.js$/, ".ts")))
        for (const end of ["", ".map"]) rmSync(`dist/${path}${end}`, { force: true });
    }
  }
}

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", 2, 2], env: { ...process.env, ...env } });
  if (error || status !== 0) fail(`"${command} ${args.join(" ")}" failed${error ? `: ${error.message}` : ""}`);
}

function fail(message) {
  console.error(`retort: ${message}`);
  process.exit(1);
}
