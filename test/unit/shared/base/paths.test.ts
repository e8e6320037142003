import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isLoopback, Roots } from "../../../../services/shared/base/paths.js";

describe("Roots", () => {
  let base: string;
  let roots: Roots;
  beforeAll(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), "retort-roots-")));
    await mkdir(join(base, "models/deep"), { recursive: true });
    await mkdir(join(base, "models-of-others"));
    await mkdir(join(base, "secret"));
    await writeFile(join(base, "secret/key"), "k");
    await symlink(join(base, "secret"), join(base, "models/out"));
    await symlink(join(base, "secret/not-yet"), join(base, "models/dangling"));
    await symlink("../models/deep", join(base, "models/inside"));
    await symlink("loop", join(base, "models/loop"));
    await symlink(join(base, "models"), join(base, "alias"));
    roots = new Roots(`${base}/models, ${base}/data`, "--roots");
  });
  afterAll(() => rm(base, { recursive: true }));

  it.each(["models", "models/deep", "models/deep/new/er", "models/inside/x", "data/x", "alias/deep", "models/deep/../deep"])(
    "permits %s",
    async (path) => expect(await roots.refusal(`${base}/${path}`)).toBeUndefined(),
  );

  it.each([
    "",
    "secret/key",
    "models-of-others",
    "models/../secret",
    "models/out",
    "models/out/key",
    "models/dangling",
    "models/dangling/x",
    "nowhere",
  ])("refuses %s, with the setting that could permit it", async (path) =>
    expect(await roots.refusal(`${base}/${path}`)).toMatch(/in none of the directories that --roots permits/),
  );

  it("answers alike for what is there and what is not", async () => {
    const [there, not] = await Promise.all([roots.refusal(`${base}/secret/key`), roots.refusal(`${base}/secret/kez`)]);
    expect(there!.replace("secret/key", "")).toBe(not!.replace("secret/kez", ""));
  });

  it("takes a null character for no path, and outlives a loop of links", async () => {
    expect(await roots.refusal(`${base}/models/a\0b`)).toMatch(/null character/);
    expect(await roots.refusal(`${base}/models/loop`)).toBeUndefined();
  });

  it("permits everything where no roots are set, and refuses settings that mean nothing", async () => {
    expect(await new Roots(undefined, "--roots").refusal("/etc/passwd")).toBeUndefined();
    expect(() => new Roots("models", "--roots")).toThrow(/absolute/);
    expect(() => new Roots(" , ", "--roots")).toThrow(/empty/);
  });

  it("names the field of what it refuses", async () => {
    await expect(roots.check("/etc/passwd", "data.path")).rejects.toMatchObject({ code: "PermissionDenied", fieldPath: "data.path" });
  });
});

describe("isLoopback()", () => {
  it.each([
    ["127.0.0.1", true],
    ["127.9.9.9", true],
    ["localhost", true],
    ["::1", true],
    ["0.0.0.0", false],
    ["::", false],
    ["10.0.0.1", false],
    ["localhost.example.org", false],
  ])("%s: %s", (host, loopback) => expect(isLoopback(host)).toBe(loopback));
});
