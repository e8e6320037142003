// Calls buf over proto/, as `node deploy/gen.mjs generate`, with protovalidate's own proto file, which comes from its Go module:
// the npm package carries it only compiled. `node deploy/gen.mjs breaking [REVISION]` compares proto/ with what it was at a
// revision (default: where this branch left main), or in another checkout: what callers of then would miss is an error.
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const target = ".tools/proto/buf/validate/validate.proto";
if (!existsSync(target)) {
  const described = execFileSync("go", ["mod", "download", "-json", "github.com/bufbuild/protovalidate@v1.2.2"], { encoding: "utf8" });
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(`${JSON.parse(described).Dir}/proto/protovalidate/buf/validate/validate.proto`, target);
}
const [command, revision] = process.argv.slice(2);
process.exitCode = command === "breaking" ? breaking(revision ?? whereMainWasLeft()) : buf(process.argv.slice(2));

function buf(args) {
  return spawnSync(process.execPath, ["node_modules/@bufbuild/buf/bin/buf", ...args], { stdio: "inherit" }).status ?? 1;
}

/** Compares with a revision of git, or with a directory that has proto/ and buf.yaml. */
function breaking(against) {
  const place = mkdtempSync(join(tmpdir(), "retort-breaking-"));
  try {
    const isDirectory = statSync(join(against, "proto"), { throwIfNoEntry: false })?.isDirectory();
    const archive = isDirectory
      ? execFileSync("tar", ["-c", "-C", against, "proto", "buf.yaml"])
      : execFileSync("git", ["archive", against, "proto", "buf.yaml"]);
    execFileSync("tar", ["-x", "-C", place], { input: archive });
    mkdirSync(join(place, dirname(target)), { recursive: true });
    copyFileSync(target, join(place, target));
    return buf(["breaking", "--against", place]);
  } finally {
    rmSync(place, { recursive: true });
  }
}

function whereMainWasLeft() {
  const git = (...args) => spawnSync("git", args, { encoding: "utf8" }).stdout?.trim() ?? "";
  const main = ["origin/main", "main"].find((name) => git("rev-parse", "--verify", "--quiet", name));
  const base = main && git("merge-base", "HEAD", main);
  if (base) return base;
  console.error("there is no branch main to compare with; name a revision: node deploy/gen.mjs breaking REVISION");
  process.exit(64);
}
