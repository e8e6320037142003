import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { RetortError } from "../../../services/shared/base/errors.js";
import { createLog } from "../../../services/shared/base/log.js";
import { createClient } from "../../../services/shared/base/rpc/client.js";
import { type CallContext, implement } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { StudentService } from "../../../services/shared/gen/retort/v1/student_pb.js";

const log = createLog("test", { level: "silent", format: "json" });
const limits = { timeoutMs: 5000, maxMessageBytes: 1 << 20 };
const options = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1 << 20 };
const sampling = { maxNewTokens: 1 };

describe("RpcServer and createClient()", () => {
  let server: RpcServer;
  let client: ReturnType<typeof connect>;
  let contexts: CallContext[];
  let made: number;
  let failure: unknown;

  const connect = () => createClient(StudentService, `127.0.0.1:${server.port}`, limits);
  const service = implement(StudentService, {
    getStatus: async (_, context) => {
      contexts.push(context);
      if (failure) throw failure;
      return { runId: "r", policyVersion: 7, tasksDone: 2n ** 60n };
    },
    sample: async function* ({ samplesPerPrompt }, context) {
      contexts.push(context);
      for (let sample = 0; sample < samplesPerPrompt; sample++) {
        made++;
        yield { sample, text: "x".repeat(10_000) };
        if (failure) throw failure;
      }
      if (samplesPerPrompt === 0) await sleep(60_000, undefined, { signal: context.signal });
    },
  });
  const request = (samplesPerPrompt: number) => ({
    prompts: [{ input: { case: "text" as const, value: "a" } }],
    sampling,
    samplesPerPrompt,
  });

  beforeEach(async () => {
    contexts = [];
    made = 0;
    failure = undefined;
    server = new RpcServer([service], options, log);
    await server.start();
    client = connect();
  });
  afterEach(async () => {
    client.close();
    await server.stop();
  });

  it("answers a call", async () => {
    expect(await client.getStatus({})).toMatchObject({ runId: "r", policyVersion: 7, tasksDone: 2n ** 60n });
  });

  it("streams every message in order", async () => {
    const samples: number[] = [];
    for await (const { sample } of client.sample(request(100))) samples.push(sample);
    expect(samples).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  it("makes a stream no faster than it is read", async () => {
    for await (const { sample } of client.sample(request(1024))) {
      await sleep(2);
      if (sample === 50) break;
    }
    // 10 kB a message; flow control holds some hundred kB between the two.
    expect(made).toBeLessThan(800);
    await sleep(200);
    const afterwards = made;
    await sleep(200);
    expect(made).toBe(afterwards);
  });

  it("carries code, message and all problems of a failure", async () => {
    const problems = [
      { fieldPath: "phases[0].beta", description: "is 2; it must lie in [0, 1]" },
      { fieldPath: "run_id", description: "is „ä“; letters a to z only" },
    ];
    failure = RetortError.ofProblems("run spec", problems);
    const error = await client.getStatus({}).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RetortError);
    expect(error).toMatchObject({ code: "InvalidArgument", message: (failure as Error).message, problems });
  });

  it("delivers a failure of any length, cut", async () => {
    const many = Array.from({ length: 2000 }, (_, i) => ({ fieldPath: `field[${i}]`, description: "ü".repeat(100) }));
    failure = RetortError.ofProblems("run spec", many);
    const error = (await client.getStatus({}).catch((e: unknown) => e)) as RetortError;
    expect(error.code).toBe("InvalidArgument");
    expect(error.problems.length).toBeGreaterThan(5);
    expect(error.problems[0]).toEqual(many[0]);
  });

  it("fails a stream after what was sent before", async () => {
    failure = new RetortError("Unavailable", "the model is busy");
    let got = 0;
    const read = async () => {
      for await (const _ of client.sample(request(3))) got++;
    };
    await expect(read()).rejects.toMatchObject({ code: "Unavailable" });
    expect(got).toBe(1);
  });

  it("lists every violated rule of a request before the handler sees it", async () => {
    const bad = { prompts: [], sampling: undefined, samplesPerPrompt: 1 };
    const read = async () => {
      for await (const _ of client.sample(bad)) expect("a message").toBe("none");
    };
    const error = (await read().catch((e: unknown) => e)) as RetortError;
    expect(error.code).toBe("InvalidArgument");
    expect(error.problems.map(({ fieldPath }) => fieldPath).sort()).toEqual(["prompts", "sampling"]);
    expect(contexts).toEqual([]);
  });

  it("ends a call at its deadline and tells the handler", async () => {
    const read = async () => {
      for await (const _ of client.sample(request(0), { timeoutMs: 200 }));
    };
    await expect(read()).rejects.toMatchObject({ code: "DeadlineExceeded" });
    await sleep(100);
    expect(contexts[0]!.signal.aborted).toBe(true);
  });

  it.each(["already", "later"])("cancels a stream whose signal is aborted (%s)", async (when) => {
    const stop = new AbortController();
    if (when === "already") stop.abort();
    else setTimeout(() => stop.abort(), 100);
    let got = 0;
    for await (const _ of client.sample(request(0), { signal: stop.signal })) got++;
    expect(got).toBe(0);
    await sleep(100);
    expect(contexts.every(({ signal }) => signal.aborted)).toBe(true);
  });

  it("refuses a message beyond the server's limit, in words", async () => {
    const small = new RpcServer([service], { ...options, maxMessageBytes: 1000 }, log);
    await small.start();
    const caller = createClient(StudentService, `127.0.0.1:${small.port}`, limits);
    const read = async () => {
      for await (const _ of caller.sample({ ...request(1), prompts: [{ input: { case: "text", value: "x".repeat(2000) } }] }));
    };
    const error = (await read().catch((e: unknown) => e)) as RetortError;
    expect(error.code).toBe("ResourceExhausted");
    expect(error.message).toMatch(/2\d\d\d vs 1000.*maxMessageBytes/i);
    caller.close();
    await small.stop();
  });

  it.each(["the server", "the client"])(
    "refuses an answer beyond the limit of %s: sizes and the way out, and no second try",
    async (end) => {
      const small = new RpcServer([service], { ...options, maxMessageBytes: end === "the server" ? 1000 : 1 << 20 }, log);
      await small.start();
      const address = `127.0.0.1:${small.port}`;
      const caller = createClient(StudentService, address, { ...limits, maxMessageBytes: end === "the client" ? 1000 : 1 << 20 });
      const read = async () => {
        for await (const _ of caller.sample(request(1)));
      };
      const error = (await read().catch((e: unknown) => e)) as RetortError;
      expect(error).toMatchObject({ code: "ResourceExhausted", retry: "never" });
      expect(error.message).toMatch(/10\d\d\d.*1000.*fewer sequences, or a smaller signal.*maxMessageBytes/);
      expect(error.message).toContain(address);
      await expect(caller.getStatus({})).resolves.toMatchObject({ policyVersion: 7 });
      caller.close();
      await small.stop();
    },
  );

  it("refuses a message beyond the client's limit, in words", async () => {
    const big = { ...request(1), prompts: [{ input: { case: "text" as const, value: "x".repeat(2 << 20) } }] };
    const read = async () => {
      for await (const _ of client.sample(big));
    };
    const error = (await read().catch((e: unknown) => e)) as RetortError;
    expect(error.code).toBe("ResourceExhausted");
    expect(error.message).toMatch(/larger than 1048576.*maxMessageBytes/i);
  });

  it("says which address cannot be reached", async () => {
    const nobody = createClient(StudentService, "127.0.0.1:1", limits);
    await expect(nobody.getStatus({})).rejects.toMatchObject({ code: "Unavailable", message: expect.stringContaining("127.0.0.1:1") });
    nobody.close();
  });

  it("says that a port is in use", async () => {
    const second = new RpcServer([service], { ...options, port: server.port }, log);
    await expect(second.start()).rejects.toMatchObject({ code: "FailedPrecondition", message: expect.stringContaining(`:${server.port}`) });
    await second.stop();
  });

  it("lets a call in progress end when it stops", async () => {
    const calls: number[] = [];
    const reading = (async () => {
      for await (const { sample } of client.sample(request(50))) {
        calls.push(sample);
        await sleep(5);
      }
    })();
    await sleep(60);
    await server.stop();
    await reading;
    expect(calls).toHaveLength(50);
  });

  it("is found by a client that was there before it came back", async () => {
    await client.getStatus({});
    await server.stop();
    await expect(client.getStatus({})).rejects.toMatchObject({ code: "Unavailable" });
    server = new RpcServer([service], { ...options, port: server.port }, log);
    await server.start();
    const started = Date.now();
    while (!(await client.getStatus({}).catch(() => undefined))) await sleep(50);
    expect(Date.now() - started).toBeLessThan(3000);
  });

  it("shows itself to grpcurl", async () => {
    const grpcurl = process.env.RETORT_TEST_GRPCURL;
    if (!grpcurl)
      return console.log(
        "RETORT_TEST_GRPCURL is not set: not tried with grpcurl (go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest)",
      );
    const run = promisify(execFile);
    const { stdout: list } = await run(grpcurl, ["-plaintext", `127.0.0.1:${server.port}`, "list"]);
    expect(list).toContain("retort.v1.StudentService");
    const { stdout: described } = await run(grpcurl, ["-plaintext", `127.0.0.1:${server.port}`, "describe", "retort.v1.SampleRequest"]);
    expect(described).toContain("SamplingParams sampling = 2");
    const { stdout: answer } = await run(grpcurl, ["-plaintext", `127.0.0.1:${server.port}`, "retort.v1.StudentService/GetStatus"]);
    expect(JSON.parse(answer)).toMatchObject({ runId: "r", policyVersion: 7 });
    const args = ["-plaintext", "-d", "{}", `127.0.0.1:${server.port}`, "retort.v1.StudentService/Sample"];
    const { stderr } = await run(grpcurl, args).catch((e: { stderr: string }) => e);
    expect(stderr).toMatch(/SampleRequest has 2 problems[\s\S]*[\s\S]*google.rpc.BadRequest/);
  });
});
