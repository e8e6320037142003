import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout, seen from dist/test/unit. */
const root = fileURLToPath(new URL("../../../", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Locked {
  readonly packages: Readonly<
    Record<string, { readonly dev?: boolean; readonly optional?: boolean; readonly engines?: { readonly node?: string } }>
  >;
}
const { packages } = JSON.parse(read("package-lock.json")) as Locked;
const { optionalDependencies, engines } = JSON.parse(read("package.json")) as {
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly engines: { readonly node: string };
};

describe("optional packages", () => {
  it("are those that draw charts, and nothing that a role needs: the image leaves them out", () => {
    const left = Object.entries(packages).flatMap(([path, { optional, dev }]) =>
      optional && !dev ? [path.replace("node_modules/", "")] : [],
    );
    const drawing = /^(echarts|zrender|tslib|dejavu-fonts-ttf|@resvg\/resvg-js(-.*)?)$/;
    // Of @huggingface/hub, for a command of its own that isn't called; of koffi, one for each platform.
    const others = left.filter((name) => !drawing.test(name) && !name.startsWith("@koromix/koffi-"));
    expect(others).toEqual(["cli-progress", "cli-progress/node_modules/string-width"]);
    expect(left).toEqual(expect.arrayContaining(Object.keys(optionalDependencies)));
  });

  it("are imported by nothing before it draws", () => {
    const names = Object.keys(optionalDependencies).join("|");
    const early = new RegExp(`^(import|export) (?!type )[^;]*?from "(${names})"`, "m");
    const files = (readdirSync(join(root, "services"), { recursive: true }) as string[]).filter((name) => name.endsWith(".ts"));
    expect(early.test('import { init } from "echarts";')).toBe(true);
    expect(files.filter((file) => early.test(read(join("services", file))))).toEqual([]);
  });

  describe("are taken out of what an image gets", () => {
    const { platform, arch } = process;
    const other = platform === "linux" ? "darwin" : "linux";
    /** Files of packages, and whether they stay. A package's own manifest is written beside them. */
    const files: Readonly<Record<string, boolean>> = {
      "echarts/index.js": false,
      "zrender/lib/index.js": false,
      "@resvg/resvg-js/index.js": false,
      "@resvg/resvg-js-linux-x64-gnu/resvgjs.node": false,
      "left-behind/index.js": false,
      "koffi/index.js": true,
      "koffi/index.d.ts": false,
      "koffi/README.md": false,
      "koffi/LICENSE.md": true,
      [`@koromix/koffi-${platform}-${arch}/package.json`]: true,
      [`@koromix/koffi-${other}-${arch}/${other}_${arch}/koffi.node`]: false,
      [`onnxruntime-node/bin/napi-v6/${platform}/${arch}/libonnxruntime.so.1`]: true,
      [`onnxruntime-node/bin/napi-v6/${other}/${arch}/libonnxruntime.so.1`]: false,
      "onnxruntime-node/node_modules/semver/index.js": true,
      "onnxruntime-node/node_modules/echarts/index.js": false,
      "bare-fs/index.js": true,
      "bare-fs/prebuilds/linux-x64/bare-fs.bare": false,
      "peer/index.js": true,
      "semver/index.js": false,
    };
    const needs: Readonly<Record<string, object>> = {
      echarts: { dependencies: { zrender: "1" } },
      "@resvg/resvg-js": { optionalDependencies: { "@resvg/resvg-js-linux-x64-gnu": "1" } },
      koffi: { optionalDependencies: { [`@koromix/koffi-${platform}-${arch}`]: "1", [`@koromix/koffi-${other}-${arch}`]: "1" } },
      "onnxruntime-node": { dependencies: { semver: "1", "bare-fs": "1" } },
      "bare-fs": { peerDependencies: { peer: "1", echarts: "1" }, peerDependenciesMeta: { echarts: { optional: true } } },
    };

    it("with what only they need, other platforms' libraries, and what no process reads", () => {
      const place = mkdtempSync(join(tmpdir(), "retort-prune-"));
      for (const file of Object.keys(files)) {
        const [name = ""] = /^(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/.exec(file) ?? [];
        mkdirSync(dirname(join(place, "node_modules", file)), { recursive: true });
        writeFileSync(join(place, "node_modules", name, "package.json"), JSON.stringify({ name, ...needs[name] }));
        if (!file.endsWith("package.json")) writeFileSync(join(place, "node_modules", file), "x");
      }
      const dependencies = { koffi: "1", "onnxruntime-node": "1" };
      writeFileSync(join(place, "package.json"), JSON.stringify({ dependencies, optionalDependencies }));
      execFileSync(process.execPath, [join(root, "deploy/prune.mjs"), join(place, "node_modules")]);
      const left = Object.keys(files).map((file) => [file, existsSync(join(place, "node_modules", file))]);
      expect(Object.fromEntries(left)).toEqual(files);
      expect(existsSync(join(place, "node_modules", "@resvg"))).toBe(false);
      rmSync(place, { recursive: true });
    });
  });
});

describe("the oldest Node", () => {
  it("is the same in package.json, in what checks it, and in the README", () => {
    const oldest = /^>=(\d+\.\d+)$/.exec(engines.node)?.[1];
    expect(oldest).toBeDefined();
    expect(read("deploy/setup.mjs")).toContain(`Retort needs Node ${oldest} or newer`);
    expect(read("README.md")).toContain(`Node ${oldest} or newer`);
  });
});
