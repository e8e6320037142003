// Takes out of an installed node_modules what no process of this platform reads: native libraries of other platforms, type
// declarations and source maps; and the optional packages of package.json, which draw charts: no role does. `node deploy/prune.mjs DIRECTORY`. Plain JavaScript, because it runs in an image
// that has nothing else.
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, sep } from "node:path";

const [root] = process.argv.slice(2);
if (!root) {
  console.error("usage: node deploy/prune.mjs DIRECTORY_OF_NODE_MODULES");
  process.exit(64);
}

/** onnxruntime-node ships every platform's libraries: bin/napi-v6/<platform>/<arch>/. */
const native = /onnxruntime-node\/bin\/napi-v\d+\/([^/]+)\/([^/]+)\//;
/** tokenizers ships a library for every platform, libc included: tokenizers.<platform>-<arch>[-<abi>].node. */
const tokenizers = /(?:^|\/)tokenizers\/tokenizers\.([a-z0-9]+)-([a-z0-9]+)(?:-([a-z]+))?\.node$/;
/** glibc names its version in a process's report, musl does not. */
const libc = process.platform === "linux" ? (process.report.getReport().header.glibcVersionRuntime ? "gnu" : "musl") : "";

/** Whether a path is a native library of another platform. */
function foreign(path) {
  const runtime = native.exec(path);
  if (runtime) return runtime[1] !== process.platform || runtime[2] !== process.arch;
  const found = tokenizers.exec(path);
  if (!found) return false;
  const [, platform, arch, abi = ""] = found;
  if (platform !== process.platform) return true;
  // macOS has a library for both of its architectures.
  if (arch !== process.arch && arch !== "universal") return true;
  return platform === "linux" && !abi.startsWith(libc);
}

const unread = /\.(d\.[cm]?ts|[cm]?js\.map|d\.[cm]?ts\.map|tsbuildinfo)$/;

/** Those of this package alone: what a package of ours needs for its platform is optional too. */
const { optionalDependencies = {} } = JSON.parse(readFileSync(join(root, "..", "package.json"), "utf8"));

const isOptional = (path) => Object.keys(optionalDependencies).some((name) => path.startsWith(`${name}/`));

let bytes = 0;
for (const name of readdirSync(root, { recursive: true })) {
  const path = join(root, name);
  if (!foreign(path.split(sep).join("/")) && !unread.test(name) && !isOptional(name.split(sep).join("/"))) continue;
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status?.isFile()) continue;
  bytes += status.size;
  rmSync(path);
}
console.log(`pruned ${Math.round(bytes / 1024 ** 2)} MiB from ${root}`);
