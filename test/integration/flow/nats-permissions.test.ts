import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PermissionViolationError } from "@nats-io/transport-node";
import { findNatsServer, type NatsServer, startNatsServer } from "../../../services/shared/base/nats-server.js";
import { readLogin } from "../../../services/shared/base/nats-users.js";
import { Streams } from "../../../services/shared/base/streams/connection.js";
import { natsPermissions } from "../../../services/shared/flow/nats-permissions.js";
import { RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { durables, ensureRun, ensureStreams } from "../../../services/shared/flow/streams.js";

type Role = keyof typeof natsPermissions;
const members: readonly Role[] = ["student", "teacher", "reward"];

describe("the rights of a role in NATS", () => {
  let directory: string;
  let server: NatsServer;
  const roles = {} as Record<Role, Streams>;
  const start = async () => startNatsServer({ binary: await findNatsServer(console.log), directory, port: 0, users: natsPermissions });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-rights-"));
    server = await start();
    for (const role of Object.keys(natsPermissions) as Role[])
      roles[role] = await Streams.connect({ url: server.url, name: role, login: readLogin(server.logins!, role) });
    await ensureStreams(roles.controller);
    await RunStore.open(roles.controller);
    await ensureRun(roles.controller, { runId: "r", teachers: ["t"], rewarded: true, maxAttempts: 1 });
    await roles.controller.kv.create("retort_aside");
  });
  afterAll(async () => {
    for (const streams of Object.values(roles)) await streams.connection.close();
    await server.stop();
    await rm(directory, { recursive: true });
  });

  /** "allowed" if the server takes a message on a subject from a role, whatever it makes of it; else "refused". */
  async function may(role: Role, subject: string): Promise<string> {
    const { connection } = roles[role];
    const answered = connection.request(subject, subject.includes("MSG.NEXT") ? `{"no_wait":true}` : "{}", { timeout: 10_000 }).then(
      () => "allowed",
      (error: unknown) => {
        if (error instanceof PermissionViolationError || (error as Error).cause instanceof PermissionViolationError) return "refused";
        return "allowed";
      },
    );
    return answered;
  }

  const results = (kind: string, owner = "1") => `retort.results.r.${owner}.7.0.${kind}`;
  it.each<[string, readonly Role[]]>([
    [results("rollout"), ["learner", "student"]],
    [results("rollout", "kept"), ["learner", "student", "teacher"]],
    [results("score"), ["learner", "teacher"]],
    [results("reward"), ["learner", "reward"]],
    ["retort.results.r.1.7.0.other", ["learner"]],
    ["retort.rollouts.r.t.7.0", ["learner", "student", "teacher"]],
    ["retort.prompts.r.student.7.0", ["learner"]],
    ["retort.ledger.r.1.7", ["learner"]],
    ["retort.events.r.warning", ["learner"]],
    ["retort.events.r.samplesRecorded", ["learner"]],
    ["retort.events.r.activity", ["learner", "reward", "student", "teacher"]],
    ["retort.events.r.processFigures", ["learner", "reward", "student", "teacher"]],
    ["$KV.retort_runs.r", ["learner"]],
    ["$KV.retort_runs.r.control", ["learner"]],
    ["$KV.retort_runs.r.policy", ["learner"]],
    ["$KV.retort_aside.x", []],
    ["$KV.retort_roles.r.student.student-0", ["student"]],
    ["$KV.retort_roles.r.reward.reward-0", ["reward"]],
    ["$O.retort_weights_r.C.x", ["learner"]],
    ["$JS.API.STREAM.CREATE.OTHER", ["learner"]],
    ["$JS.API.STREAM.PURGE.RETORT_RESULTS", ["learner"]],
    ["$JS.API.STREAM.PURGE.RETORT_LEDGER", []],
    ["$JS.API.STREAM.MSG.DELETE.RETORT_PROMPTS", ["learner"]],
    ["$JS.API.STREAM.UPDATE.RETORT_RESULTS", ["learner"]],
    ["$JS.API.STREAM.DELETE.KV_retort_runs", []],
    ["$JS.API.STREAM.DELETE.RETORT_LEDGER", []],
    [`$JS.API.CONSUMER.DELETE.RETORT_ROLLOUTS.${durables.reward("r")}`, ["learner"]],
    ["$JS.API.CONSUMER.CREATE.RETORT_ROLLOUTS", ["learner"]],
    ["$JS.API.CONSUMER.CREATE.RETORT_PROMPTS.mine.retort.prompts.>", ["learner"]],
    ["$JS.API.CONSUMER.DURABLE.CREATE.RETORT_PROMPTS.student-r", ["learner"]],
    ["$JS.API.CONSUMER.CREATE.RETORT_EVENTS.mine.retort.events.>", ["learner"]],
    ["$JS.API.CONSUMER.MSG.NEXT.RETORT_ROLLOUTS.reward-r", ["learner", "reward", "teacher"]],
    ["$JS.API.CONSUMER.MSG.NEXT.RETORT_PROMPTS.student-r", ["learner", "student", "teacher"]],
    ["$JS.API.DIRECT.GET.KV_retort_runs.$KV.retort_runs.r", ["learner", "reward", "student", "teacher"]],
    ["$JS.API.DIRECT.GET.OBJ_retort_weights_r.$O.retort_weights_r.M.x", ["learner", "student", "teacher"]],
    ["$JS.API.CONSUMER.CREATE.OBJ_retort_weights_r.mine.$O.retort_weights_r.C.x", ["learner", "student", "teacher"]],
    // What one may write must not come back raw: a reply goes wherever one asks it to go.
    ["$JS.API.DIRECT.GET.KV_retort_roles.$KV.retort_roles.r.student.student-0", ["learner"]],
    ["$JS.API.DIRECT.GET.RETORT_RESULTS", ["learner"]],
    ["somewhere.else", []],
  ])("lets in %s only what is meant to be there", async (subject, expected) => {
    const asked = Object.keys(natsPermissions).filter((role) => role !== "controller") as Role[];
    const found: Role[] = [];
    for (const role of asked) if ((await may(role, subject)) === "allowed") found.push(role);
    expect(found.sort()).toEqual([...expected]);
    // The streams are as empty as before.
    if (subject.startsWith("retort.")) await roles.controller.manager.streams.purge(await roles.controller.manager.streams.find(subject));
  });

  it.each(members)("keeps a %s from listening to others", async (role) => {
    for (const subject of [">", "retort.>", "_INBOX.>", "_INBOX_learner.>", "$KV.>", "$JS.>"]) {
      const heard = new Promise((resolve) => roles[role].connection.subscribe(subject, { callback: (error) => resolve(error) }));
      expect([subject, await heard]).toEqual([subject, expect.any(PermissionViolationError)]);
    }
  });

  it("refuses a connection without a login, with a wrong password, or as another", async () => {
    const { user, pass } = readLogin(server.logins!, "student");
    const wrong = [undefined, { user, pass: `${pass}x` }, { user: "controller", pass }, { user: "nobody", pass }];
    for (const login of wrong) {
      const error: Error = await Streams.connect({ url: server.url, name: "stranger", login }).then(
        () => Promise.reject(new Error("it was let in")),
        (thrown: Error) => thrown,
      );
      expect(error).toMatchObject({ code: "Unavailable" });
      expect(error.message).toContain("--nats-logins");
      expect(error.message).not.toContain(pass);
    }
  });

  it("takes user and password of a URL, and never shows them", async () => {
    const { user, pass } = readLogin(server.logins!, "controller");
    const address = server.url.replace("nats://", "");
    const streams = await Streams.connect({ url: `nats://${user}:${pass}@${address}`, name: "by-url" });
    await streams.close();
    const refused = Streams.connect({ url: `nats://${user}:secret-mark@${address}`, name: "by-url" });
    await expect(refused).rejects.toThrow(`nats://***@${address}`);
    const away = Streams.connect({ url: "nats://me:secret-mark@127.0.0.1:1", name: "by-url", connectTimeoutMs: 500 });
    const error = (await away.catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toContain("nats://***@127.0.0.1:1");
    expect(`${error.message} ${error.stack} ${(error.cause as Error).message}`).not.toContain("secret-mark");
  });

  it("rests on passwords that the owner alone can read, that differ, and that a restart keeps", async () => {
    const read = async () =>
      Promise.all((await readdir(server.logins!)).sort().map((name) => readFile(join(server.logins!, name), "utf8")));
    const before = await read();
    expect(new Set(before).size).toBe(Object.keys(natsPermissions).length);
    for (const name of await readdir(server.logins!)) expect((await stat(join(server.logins!, name))).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, "users.conf"))).mode & 0o777).toBe(0o600);
    const texts = [await readFile(join(directory, "nats.conf"), "utf8"), await readFile(join(directory, "nats.log"), "utf8")];
    for (const password of before) for (const text of texts) expect(text).not.toContain(password.trim());
    await server.stop();
    server = await start();
    expect(await read()).toEqual(before);
  });
});
