// Regenerates what is generated from proto/. Protovalidate's own proto file comes from its Go module, because the
// npm package carries it only compiled.
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const target = ".retort/proto/buf/validate/validate.proto";
if (!existsSync(target)) {
  const described = execFileSync("go", ["mod", "download", "-json", "github.com/bufbuild/protovalidate@v1.2.2"], { encoding: "utf8" });
  mkdirSync(".retort/proto/buf/validate", { recursive: true });
  copyFileSync(`${JSON.parse(described).Dir}/proto/protovalidate/buf/validate/validate.proto`, target);
}
process.exitCode = spawnSync("npx", ["buf", ...process.argv.slice(2)], { stdio: "inherit" }).status ?? 1;
