// Takes out of an installed node_modules what no process of this platform reads: native libraries of other platforms,
// type declarations and source maps. `node deploy/prune.mjs DIRECTORY`. Plain JavaScript, because it runs in an image
// that has nothing else.
import { readdirSync, rmSync, statSync } from "node:fs";
import { join, sep } from "node:path";

const [root] = process.argv.slice(2);
if (!root) {
  console.error("usage: node deploy/prune.mjs DIRECTORY_OF_NODE_MODULES");
  process.exit(64);
}

/** onnxruntime-node ships every platform's libraries: bin/napi-v6/<platform>/<arch>/. */
const native = /onnxruntime-node\/bin\/napi-v\d+\/([^/]+)\/([^/]+)\//;
const unread = /\.(d\.[cm]?ts|[cm]?js\.map|d\.[cm]?ts\.map|tsbuildinfo)$/;

let bytes = 0;
for (const name of readdirSync(root, { recursive: true })) {
  const path = join(root, name);
  const found = native.exec(path.split(sep).join("/"));
  const foreign = found !== null && (found[1] !== process.platform || found[2] !== process.arch);
  if (!foreign && !unread.test(name)) continue;
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status?.isFile()) continue;
  bytes += status.size;
  rmSync(path);
}
console.log(`pruned ${Math.round(bytes / 1024 ** 2)} MiB from ${root}`);
