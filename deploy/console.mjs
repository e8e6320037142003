// Builds the page of services/console: console.js, console.css, index.html and icon.svg in dist/services/console, for the controller and
// for reports. Plain JavaScript, since it runs before anything is compiled, and only if a source is newer.
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";

const sources = "services/console";
const target = "dist/services/console";
const bundle = `${target}/console.js`;
/** What the page imports from elsewhere, and what decides how it is built. */
const others = ["services/shared/flow/history", "services/shared/gen", "deploy/console.mjs", "package-lock.json"];

/** Builds the page unless it is newer than all that it is made of. */
export async function buildConsole() {
  if (existsSync(bundle) && [sources, ...others].every((path) => newest(path) < statSync(bundle).mtimeMs)) return;
  // Loaded here: a checkout without packages installs them first.
  const { build } = await import("esbuild");
  mkdirSync(target, { recursive: true });
  for (const name of ["icon.svg", "index.html"]) copyFileSync(`${sources}/${name}`, `${target}/${name}`);
  await build({
    entryPoints: { console: `${sources}/main.tsx` },
    outdir: target,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    tsconfig: `${sources}/tsconfig.json`,
    // Nothing of the page comes from elsewhere at run time: its policy forbids it.
    legalComments: "inline",
    logLevel: "warning",
  });
}

function newest(path) {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  const inside = readdirSync(path, { withFileTypes: true, recursive: true });
  return inside.reduce((most, entry) => Math.max(most, statSync(`${entry.parentPath}/${entry.name}`).mtimeMs), mtimeMs);
}
