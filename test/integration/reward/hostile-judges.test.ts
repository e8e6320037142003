import { create } from "@bufbuild/protobuf";
import { rewardSettings } from "../../../services/reward/config.js";
import { ExternalJudges } from "../../../services/reward/external-judges.js";
import { RetortError } from "../../../services/shared/base/errors.js";
import { createLog } from "../../../services/shared/base/log.js";
import { implement } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { readSettings } from "../../../services/shared/base/settings.js";
import { RewardService } from "../../../services/shared/gen/retort/v1/reward_pb.js";
import { RewardSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";

type Answer = (completions: readonly string[]) => Promise<{ value?: number; failure?: string }[]>;

const log = createLog("test", { level: "silent", format: "json" });
const listen = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 2 ** 28 };
const input = (completion: string) => ({ prompt: "", completion, reference: "", completionTokens: 1 });
const never = new AbortController().signal;

describe("ExternalJudges", () => {
  let answer: Answer;
  let calls: number[] = [];
  const serve = async (port = 0) => {
    const service = implement(RewardService, {
      describe: async () => ({}),
      evaluate: async ({ inputs }) => {
        calls.push(inputs.length);
        return { rewards: await answer(inputs.map(({ completion }) => completion)) };
      },
    });
    const server = new RpcServer([service], { ...listen, port }, log);
    await server.start();
    return server;
  };
  let server: RpcServer;
  let judges: ExternalJudges;
  beforeEach(async () => {
    calls = [];
    answer = async (completions) => completions.map((completion) => ({ value: completion.length }));
    server = await serve();
    judges = new ExternalJudges(readSettings(rewardSettings, [], {}));
  });
  afterEach(async () => {
    judges.close();
    await server.stop();
  });
  const specOf = () => create(RewardSpecSchema, { kind: "external", address: `127.0.0.1:${server.port}` });
  const ask = (completions: readonly string[], patienceMs = 60_000) =>
    judges.judgeOrFail(completions.map(input), specOf(), { patienceMs, signal: never });

  it("outlives a judge that is away for three seconds", async () => {
    expect(await ask(["a"])).toEqual([1]);
    const { port } = server;
    await server.stop();
    const asked = ask(["ab", "abc"]);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    server = await serve(port);
    expect(await asked).toEqual([2, 3]);
  });

  it.each<[string, Answer, RegExp]>([
    [
      "is too busy",
      () => Promise.reject(new RetortError("ResourceExhausted", "full")),
      /gave no rewards for \d\.\d s, however often .*ResourceExhausted: full/,
    ],
    ["hangs", () => new Promise(() => {}), /gave no rewards for \d\.\d s.*DeadlineExceeded/],
    ["fails", () => Promise.reject(new RetortError("Internal", "a bug")), /gave no rewards \(Internal: a bug/],
    ["asks for another token", () => Promise.reject(new RetortError("Unauthenticated", "who?")), /Unauthenticated: who\?/],
    ["gives a reward too few", async () => [{ value: 1 }], /gave 1 rewards for 2 completions/],
    ["gives a reward too many", async () => [{}, {}, {}], /gave 3 rewards for 2 completions/],
    ["sends 100 MB", async () => [{ failure: "x".repeat(1e8) }, {}], /ResourceExhausted: .*larger than/],
    ["says far too much", async () => Promise.reject(new RetortError("InvalidArgument", "x".repeat(1e6))), /^.{500,1200}$/],
  ])("has a recorded outcome for each completion where a judge %s", async (what, hostile, reason) => {
    answer = hostile;
    expect(await ask(["a", "b"], ["is too busy", "hangs"].includes(what) ? 1500 : 60_000)).toEqual([
      { failure: expect.stringMatching(reason) },
      { failure: expect.stringMatching(reason) },
    ]);
  });

  it("passes on what a judge says of one completion, cut to a readable length", async () => {
    answer = async () => [{ failure: "y".repeat(100_000) }, { value: Number.NaN }, { value: -1 }];
    const [long, ...rest] = await ask(["a", "b", "c"]);
    expect((long as { failure: string }).failure.length).toBeLessThan(1100);
    expect(rest).toEqual([Number.NaN, -1]);
  });

  it("asks about 5,000 completions, and about more text than one message holds", async () => {
    expect(await ask(Array.from({ length: 5000 }, (_, i) => "x".repeat(i % 7)))).toEqual(Array.from({ length: 5000 }, (_, i) => i % 7));
    expect(calls).toEqual([4096, 904]);
    expect(
      await ask(
        Array.from({ length: 10 }, () => "x".repeat(8_000_000)),
        60_000,
      ),
    ).toEqual(Array(10).fill(8_000_000));
    expect(calls).toHaveLength(12);
  });

  it("gives up at once when it is told to", async () => {
    answer = () => new Promise(() => {});
    const stop = new AbortController();
    const asked = judges.judgeOrFail([input("a")], specOf(), { patienceMs: 600_000, signal: stop.signal });
    const outcome = expect(asked).rejects.toMatchObject({ code: "Cancelled" });
    setTimeout(() => stop.abort(), 100);
    await outcome;
  });
});
