// Takes out of an installed node_modules what no process of this platform reads: native libraries of other platforms, types, sources in
// TypeScript, source maps and pages; and the packages that only the optional ones of package.json need, which draw charts: no role
// does. `node deploy/prune.mjs DIRECTORY`. Plain JavaScript, because it runs in an image that has nothing else.
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";

const [given] = process.argv.slice(2);
if (!given) {
  console.error("usage: node deploy/prune.mjs DIRECTORY_OF_NODE_MODULES");
  process.exit(64);
}
const root = resolve(given);
const app = dirname(root);

/** glibc names its version in a process's report, musl does not. */
const libc = process.platform === "linux" ? (process.report.getReport().header.glibcVersionRuntime ? "gnu" : "musl") : "";
const isHere = (platform, arch) => platform === process.platform && [process.arch, "universal"].includes(arch);

/** Where packages keep a library for each platform, and whether one is for this one. */
const libraries = [
  // onnxruntime-node: bin/napi-v6/<platform>/<arch>/.
  [/onnxruntime-node\/bin\/napi-v\d+\/([^/]+)\/([^/]+)\//, isHere],
  // tokenizers, libc included: tokenizers.<platform>-<arch>[-<abi>].node.
  [
    /(?:^|\/)tokenizers\/tokenizers\.([a-z0-9]+)-([a-z0-9]+)(?:-([a-z]+))?\.node$/,
    (platform, arch, abi = "") => isHere(platform, arch) && abi.startsWith(libc),
  ],
  // koffi: koffi-<platform>-<arch>/<platform or musl>_<arch>/.
  [
    /@koromix\/koffi-([a-z0-9]+)-([a-z0-9]+)\/([a-z]+)_\w+\//,
    (platform, arch, name) => isHere(platform, arch) && (name === "musl") === (libc === "musl"),
  ],
  // Libraries for Bare, another runtime.
  [/\/prebuilds\/[^/]+\/[^/]+\.bare$/, () => false],
];
const isForeign = (path) => libraries.some(([pattern, fits]) => ((found) => found && !fits(...found.slice(1)))(pattern.exec(path)));

/** Types, sources and maps; pages, but for those with a licence in them. */
const isUnread = (path) =>
  /\.([cm]?ts|tsx|[cm]?js\.map|tsbuildinfo)$/.test(path) ||
  (/\.(md|markdown)$/i.test(path) && !/(licen[cs]e|notice|copying)[^/]*$/i.test(path));

const manifestOf = (directory) => JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));

/** Where a package that another one asks for is installed, as Node looks it up; undefined if it isn't. */
function placeOf(name, from) {
  for (let at = from; at.length >= app.length; at = dirname(at)) {
    const place = join(at, "node_modules", name);
    if (existsSync(join(place, "package.json"))) return place;
  }
  return undefined;
}

/** The packages that the dependencies of package.json lead to. */
function reached() {
  const found = new Set();
  const visit = (names, from) => {
    for (const place of names.map((name) => placeOf(name, from))) {
      if (!place || found.has(place)) continue;
      found.add(place);
      const { dependencies = {}, optionalDependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifestOf(place);
      const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
      visit([...Object.keys(dependencies), ...Object.keys(optionalDependencies), ...peers], place);
    }
  };
  visit(Object.keys(manifestOf(app).dependencies ?? {}), app);
  return found;
}

const needed = reached();
/** The innermost package that a file is part of. */
const packageOf = (path) => join(root, /^(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? "");

let bytes = 0;
for (const name of readdirSync(root, { recursive: true })) {
  const path = name.split(sep).join("/");
  const file = join(root, name);
  const status = statSync(file, { throwIfNoEntry: false });
  if (!status?.isFile() || (needed.has(packageOf(path)) && !isForeign(path) && !isUnread(path))) continue;
  bytes += status.size;
  rmSync(file);
}
removeEmpty(root);
console.log(`pruned ${Math.round(bytes / 1024 ** 2)} MiB from ${relative(process.cwd(), root) || "."}`);

/** Removes the directories that nothing is left in. @returns whether one is left */
function removeEmpty(directory) {
  let left = false;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const isLeft = !entry.isDirectory() || removeEmpty(join(directory, entry.name));
    left ||= isLeft;
  }
  if (!left && directory !== root) rmdirSync(directory);
  return left || directory === root;
}
