import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { controllersDirectory, knownControllers, noteController } from "../../../services/cli/known-controllers.js";

describe("known controllers", () => {
  let directory: string;
  let server: Server;
  let address: string;
  beforeAll(async () => {
    server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const at = server.address();
    address = `127.0.0.1:${typeof at === "object" ? at?.port : 0}`;
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-known-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const noted = (dataDir: string, more: { pid?: number; address?: string } = {}) =>
    noteController({ address, page: "http://localhost:1", dataDir, pid: process.pid, ...more }, join(directory, "notes"));
  const known = () => knownControllers(join(directory, "notes"));

  it("are found until they are forgotten, and readable by their user alone", async () => {
    const forget = await noted("/a");
    await noted("/b");
    expect((await known()).serving.map(({ dataDir }) => dataDir).sort()).toEqual(["/a", "/b"]);
    const [name = ""] = await readdir(join(directory, "notes"));
    const modes = await Promise.all(["notes", join("notes", name)].map(async (path) => (await stat(join(directory, path))).mode & 0o777));
    expect(modes).toEqual([0o700, 0o600]);
    forget();
    expect((await known()).serving.map(({ dataDir }) => dataDir)).toEqual(["/b"]);
  });

  it("are one per directory: a new one takes the place of the note before", async () => {
    await noted("/a", { pid: 1 });
    await noted("/a");
    expect((await known()).serving).toEqual([expect.objectContaining({ dataDir: "/a", pid: process.pid })]);
  });

  it("are gone with their process, and so are their notes, once that was said", async () => {
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    await noted("/a", { pid });
    expect(await known()).toMatchObject({ serving: [], gone: [{ dataDir: "/a" }] });
    expect(await known()).toEqual({ serving: [], gone: [] });
  });

  it("are no help while they don't answer, and stay noted: they may be starting again", async () => {
    await noted("/a", { address: "127.0.0.1:1" });
    expect(await known()).toMatchObject({ serving: [], gone: [{ dataDir: "/a" }] });
    expect((await known()).gone.length).toBe(1);
  });

  it("survive notes that can't be read", async () => {
    await noted("/a");
    await writeFile(join(directory, "notes", "x.json"), "{");
    expect((await known()).serving.length).toBe(1);
    expect(await knownControllers(join(directory, "nothing"))).toEqual({ serving: [], gone: [] });
  });
});

describe("controllersDirectory()", () => {
  it.each([
    [{ XDG_RUNTIME_DIR: "/run/user/7", HOME: "/home/a" }, "/run/user/7/retort"],
    [{ XDG_STATE_HOME: "/state", HOME: "/home/a" }, "/state/retort/controllers"],
    [{ HOME: "/home/a" }, "/home/a/.local/state/retort/controllers"],
  ])("of %j is %s", (env, path) => expect(controllersDirectory(env)).toBe(path));
});
