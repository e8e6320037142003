// Makes the packages of the clients in dist/packages: `proto` and `client`, directories that `npm pack` and `npm publish` take, and
// `python`, which `pip wheel` and every other builder takes. Each is what its folder of deploy/clients has, what is generated or
// compiled, and the version of this checkout.
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { version, engines, ...ours } = JSON.parse(readFileSync("package.json", "utf8"));
const packages = "dist/packages";

rmSync(packages, { recursive: true, force: true });
assemble("proto", "proto");
run("deploy/gen.mjs", "export", ".", "-o", `${packages}/proto/protos`);
const modules = readdirSync(`${packages}/proto/retort/v1`).filter((name) => name.endsWith(".js"));
const index = modules.map((name) => `export * from "./retort/v1/${name}";\n`).join("");
for (const name of ["index.js", "index.d.ts"]) writeFileSync(`${packages}/proto/${name}`, index);
assemble("client", "typescript");

cpSync("deploy/clients/python", `${packages}/python`, { recursive: true });
const described = `${packages}/python/protos.binpb`;
run("deploy/gen.mjs", "build", "--as-file-descriptor-set", "-o", described);
writeFileSync(described, withoutRules(readFileSync(described)));
writeFileSync(`${packages}/python/VERSION`, `${version}\n`);
copyFileSync("LICENSE", `${packages}/python/LICENSE`);

/** Compiles the sources of a package and puts beside them what it brings. */
function assemble(name, folder) {
  const source = `deploy/clients/${folder}`;
  mkdirSync(`${packages}/${name}`, { recursive: true });
  run("node_modules/typescript/bin/tsc", "-p", source);
  const manifest = JSON.parse(readFileSync(`${source}/package.json`, "utf8"));
  const range = (dependency) => (dependency.startsWith("@retort/") ? version : ours.dependencies[dependency]);
  const dependencies = Object.fromEntries(Object.keys(manifest.dependencies).map((dependency) => [dependency, range(dependency)]));
  writeFileSync(`${packages}/${name}/package.json`, `${JSON.stringify({ version, engines, ...manifest, dependencies }, null, 2)}\n`);
  copyFileSync(`${source}/README.md`, `${packages}/${name}/README.md`);
  copyFileSync("LICENSE", `${packages}/${name}/LICENSE`);
}

function run(...args) {
  const { status } = spawnSync(process.execPath, args, { stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}

/** Descriptors without the rules of fields, which are the controller's to check: Python then needs nothing of protovalidate. */
function withoutRules(bytes) {
  const set = fromBinary(FileDescriptorSetSchema, bytes);
  const rules = "buf/validate/validate.proto";
  set.file = set.file.filter(({ name }) => name !== rules);
  for (const file of set.file) {
    file.dependency = file.dependency.filter((name) => name !== rules);
    file.messageType.forEach(strip);
  }
  return toBinary(FileDescriptorSetSchema, set);
}

/** Takes protovalidate's options, which have this number everywhere, out of a message. */
function strip({ options, field, oneofDecl, nestedType }) {
  for (const one of [options, ...[...field, ...oneofDecl].map((member) => member.options)])
    if (one?.$unknown) one.$unknown = one.$unknown.filter(({ no }) => no !== 1159);
  nestedType.forEach(strip);
}
