import { readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";

const read = (path: string): string => readFileSync(path, "utf8");
const manifest = JSON.parse(read("package.json"));
const locked: Record<string, { license?: string; dev?: boolean }> = JSON.parse(read("package-lock.json")).packages;

describe("the repository", () => {
  it("says in CONTRIBUTING what each dependency is for", () => {
    /** Names of a table's first column: a scope is that of the whole cell, but for names that are packages without it. */
    const namesIn = (text: string, row: RegExp, known: object): string[] =>
      [...text.matchAll(row)].flatMap(([, cell = ""]) => {
        const [first = "", ...others] = cell.trim().split(", ");
        const scope = first.startsWith("@") ? `${first.split("/")[0]}/` : "";
        return [first, ...others.map((name) => (Object.hasOwn(known, name) ? name : `${scope}${name}`))];
      });
    const { dependencies, optionalDependencies, devDependencies } = manifest;
    const [first = "", second = ""] = read(".github/CONTRIBUTING.md").split("| development ");
    const installed = namesIn(first, /^\| (@?[a-z][^|]*?) *\|.*\| *[\d.]+ \| \d{4}-\d{2} +\|$/gm, optionalDependencies);
    expect(installed.sort()).toEqual(Object.keys({ ...dependencies, ...optionalDependencies }).sort());
    const developed = namesIn(second, /^\| (@?[a-z][^|]*?) *\|[^|]+\|$/gm, {});
    expect(developed.sort()).toEqual(Object.keys(devDependencies).sort());
  });

  it("installs nothing that may not be reused", () => {
    const free = /^(MIT|ISC|Apache-2\.0|0BSD|BSD-[23]-Clause|BlueOak-1\.0\.0|MPL-2\.0|Python-2\.0|CC0-1\.0|CC-BY-4\.0|Unlicense)$/;
    // Bitstream Vera's licence and the public domain, in a file of the package.
    const known = new Set(["dejavu-fonts-ttf"]);
    const isFree = (license: string) =>
      license
        .replace(/[()]/g, "")
        .split(/ (?:OR|AND) /)
        .every((one) => free.test(one));
    const others = Object.entries(locked).flatMap(([path, { license = "none" }]) => {
      const name = path.split("node_modules/").at(-1) ?? "";
      return path === "" || isFree(license) || known.has(name) ? [] : [`${name}: ${license}`];
    });
    expect(others).toEqual([]);
  });

  it("has one version", () => {
    const { version, appVersion } = parse(read("deploy/helm/retort/Chart.yaml"));
    expect([version, `${appVersion}`]).toEqual([manifest.version, manifest.version]);
    expect(read("CHANGELOG.md")).toMatch(new RegExp(`^## .*\\b${manifest.version.replaceAll(".", "\\.")}\\b`, "m"));
    const tags = [...read("README.md").matchAll(/retort:(\d+\.\d+\.\d+)/g)].map(([, tag]) => tag);
    expect(new Set(tags)).toEqual(new Set([manifest.version]));
  });

  it.each(readdirSync(".github/workflows"))("has no workflow that calls a script that isn't there (%s)", (file) => {
    const text = read(`.github/workflows/${file}`);
    expect(parse(text)).toHaveProperty("jobs");
    const scripts = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name as string);
    expect(scripts.filter((name) => !Object.hasOwn(manifest.scripts, name))).toEqual([]);
    const files = [...text.matchAll(/(?:bash|node|-f|file:) ([\w./-]+\/[\w.-]+)/g)].map(([, path]) => path as string);
    for (const path of files) expect(() => read(path)).not.toThrow();
  });

  it("keeps nothing of its tools where `retort up` would keep its state, and refuse what it didn't make", () => {
    const files = ["deploy", "test"].flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`));
    const tools = [
      "buf.yaml",
      ...files.filter((path) => /\.(mjs|ts|dockerignore)$|Dockerfile$/.test(path)),
      "test/browser/support/browser.ts",
    ];
    expect(tools.filter((path) => read(path).includes(".retort/"))).toEqual([]);
  });
});
