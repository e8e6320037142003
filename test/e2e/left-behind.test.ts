import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { canSeeProcesses, descendants } from "../support/runs/descendants.js";
import { startRetort } from "../support/runs/retort.js";
import { eventually } from "../support/servers/nats.js";

const teacher = resolve("deploy/examples/num2words/models/teacher");
/** So many that all of them take far longer than it takes to be ended. */
const prompts = Array.from({ length: 60 }, (_, i) => `${i}=`);
const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGKILL: null } as const;
type Signal = keyof typeof signals;
const every = Object.keys(signals) as Signal[];
/** One that is heard and one that isn't: all commands hear by the same code. */
const two: readonly Signal[] = ["SIGINT", "SIGKILL"];
/** What looking through all processes of a machine costs. */
const everyMs = 250;

/** Every command that starts processes: its arguments, how many processes there are when it works, and the signals. */
const commands: readonly (readonly [name: string, argv: (directory: string) => string[], processes: number, by: readonly Signal[]])[] = [
  ["up", (directory) => ["up", "--port", "0", "--data-dir", join(directory, "data")], 4, every],
  ["serve", (directory) => ["serve", "reward", "--data-dir", directory], 2, two],
  ["sample", () => ["sample", ...prompts, "--model", teacher, "--count", "1024"], 2, two],
  // Command, keeper, nats-server, controller, learner, student, teacher.
  ["demo", (directory) => ["demo", "--data-dir", join(directory, "data"), "--report", join(directory, "report.html")], 6, two],
  [
    "reproduce",
    (directory) => ["reproduce", "staleness", "--quick", "--data-dir", join(directory, "data"), "--out", join(directory, "out")],
    6,
    two,
  ],
];

if (!canSeeProcesses) console.warn("skipped: what commands leave behind is looked for in /proc, which this system has not");

(canSeeProcesses ? describe : describe.skip)("what a command leaves running when it is ended", () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-left-"));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  /** Runs a command until all its processes are there, ends it, and returns its exit code when nothing is left of it. */
  const end = async (argv: readonly string[], processes: number, directory: string, signal: NodeJS.Signals) => {
    const running = startRetort(argv, { TMPDIR: directory });
    const left = () => descendants("TMPDIR", directory);
    let over = false;
    running.ended.then(() => {
      over = true;
    });
    await eventually("its processes are there", async () => over || (await left()).length >= processes, 120_000, everyMs);
    if (over) throw new Error(`the command ended too early: ${(await running.ended).stderr}`);
    // As a terminal does it: the whole group is told.
    process.kill(-running.child.pid!, signal);
    const { code } = await running.ended;
    await eventually("nothing is left", async () => (await left()).length === 0, 90_000, everyMs);
    return code;
  };

  it.each(commands)(
    "`%s`: nothing, by whatever signal; its exit code tells which",
    async (name, argv, processes, by) => {
      const codes = by.map(async (signal) => {
        const directory = join(root, `${name}-${signal}`);
        await mkdir(directory);
        return [signal, await end(argv(directory), processes, directory, signal)] as const;
      });
      expect(Object.fromEntries(await Promise.all(codes))).toEqual(Object.fromEntries(by.map((signal) => [signal, signals[signal]])));
    },
    240_000,
  );
});
