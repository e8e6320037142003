import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linkOrCopy } from "../../../../services/shared/base/link-or-copy.js";

describe("linkOrCopy()", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-link-"));
    await writeFile(join(root, "from"), "weights");
  });
  afterEach(() => rm(root, { recursive: true }));

  it("gives a file a second name in place of what had it, once or twice, and leaves nothing else", async () => {
    await writeFile(join(root, "to"), "old");
    for (let i = 0; i < 2; i++) expect(await linkOrCopy(join(root, "from"), join(root, "to"))).toBe(true);
    expect((await readdir(root)).sort()).toEqual(["from", "to"]);
    expect((await stat(join(root, "to"))).ino).toBe((await stat(join(root, "from"))).ino);
    await rm(join(root, "from"));
    expect(await readFile(join(root, "to"), "utf8")).toBe("weights");
  });

  it("copies to another file system", async () => {
    const other = await mkdtemp("/dev/shm/retort-link-").catch(() => undefined);
    if (other === undefined || (await stat(other)).dev === (await stat(root)).dev)
      return console.log("skipped: there is no second file system at /dev/shm");
    expect(await linkOrCopy(join(root, "from"), join(other, "to"))).toBe(false);
    expect([await readFile(join(other, "to"), "utf8"), await readdir(other)]).toEqual(["weights", ["to"]]);
    await rm(other, { recursive: true });
  });

  it("says that there is no such file, and leaves what had the name", async () => {
    await writeFile(join(root, "to"), "old");
    await expect(linkOrCopy(join(root, "absent"), join(root, "to"))).rejects.toMatchObject({ code: "ENOENT" });
    expect([await readFile(join(root, "to"), "utf8"), (await readdir(root)).sort()]).toEqual(["old", ["from", "to"]]);
  });
});
