import { type Client, createClient } from "../../../services/shared/base/rpc/client.js";
import { TeacherService } from "../../../services/shared/gen/retort/v1/teacher_pb.js";
import { Tokenizer } from "../../../services/shared/ml/text/tokenizer.js";
import { example, RoleProcess } from "../../support/runs/run-bench.js";

const directory = example("models/teacher");

/** A teacher's process that stands alone, and a client of it. */
class Teacher {
  readonly process: RoleProcess;
  readonly client: Client<typeof TeacherService>;

  private constructor(process: RoleProcess, client: Client<typeof TeacherService>) {
    this.process = process;
    this.client = client;
  }

  static async start(...argv: readonly string[]): Promise<Teacher> {
    const process = new RoleProcess(["--role=teacher", "--log-format=json", "--threads=1", ...argv]);
    await process.logged(/"grpcPort":\d+/);
    const port = /"grpcPort":(\d+)/.exec(process.log)?.[1];
    const client = createClient(TeacherService, `127.0.0.1:${port}`, { timeoutMs: 60_000, maxMessageBytes: 1e7 });
    return new Teacher(process, client);
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.process.kill();
  }
}

describe("a teacher that only describes", () => {
  let teacher: Teacher;
  beforeAll(async () => {
    teacher = await Teacher.start("--describe-only=true", `--roots=${example("models")}`);
  });
  afterAll(() => teacher.stop());

  it("says the same of a model as the teacher that has it open, except for the weights", async () => {
    const open = await Teacher.start(`--model=${directory}`);
    const known = await open.client.describe({});
    await open.stop();
    const { modelDigest, headDigest, ...described } = await teacher.client.describe({ model: directory });
    expect([modelDigest, headDigest]).toEqual(["", ""]);
    expect(known).toMatchObject({ modelDigest: expect.stringMatching(/^\w{64}$/), headDigest: expect.stringMatching(/^\w{64}$/) });
    expect(known).toMatchObject(described);
  });

  it("lists the vocabulary where it is asked to", async () => {
    const { vocabulary, tokenizerSize, tokenizerDigest } = await teacher.client.describe({ model: directory, vocabulary: true });
    const tokenizer = await Tokenizer.load(directory);
    expect(tokenizerDigest).toBe(tokenizer.digest);
    expect(vocabulary?.ids).toEqual(Array.from({ length: tokenizerSize }, (_, id) => id));
    expect(vocabulary?.tokens).toEqual(vocabulary?.ids.map((id) => tokenizer.idToToken(id)));
    expect((await teacher.client.describe({ model: directory })).vocabulary).toBeUndefined();
  });

  it("answers with what is wrong with a directory, and goes on", async () => {
    const nothing = teacher.client.describe({ model: example("models/nothing") });
    await expect(nothing).rejects.toMatchObject({ code: "NotFound", message: expect.stringContaining("models/nothing") });
    await expect(teacher.client.describe({ model: example("data") })).rejects.toMatchObject({ code: "PermissionDenied" });
    await expect(teacher.client.describe({})).rejects.toMatchObject({ code: "InvalidArgument", fieldPath: "model" });
    expect((await teacher.client.describe({ model: directory })).architecture).toBe("llama");
  });

  it("scores and samples nothing", async () => {
    const prompt = { input: { case: "text" as const, value: "1=" } };
    const sequences = [{ prompt, completion: { case: "text" as const, value: "one" } }];
    const score = teacher.client.score({ sequences, signal: { kind: "sampled", temperature: 1 } });
    await expect(score).rejects.toMatchObject({ code: "FailedPrecondition", message: expect.stringContaining("--describe-only") });
    const pieces = teacher.client.sample({ request: { prompts: [prompt], sampling: { maxNewTokens: 2 } } });
    await expect(pieces[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "FailedPrecondition" });
  });
});

describe("a teacher that has one model", () => {
  it("describes no other", async () => {
    const teacher = await Teacher.start(`--model=${directory}`);
    const other = teacher.client.describe({ model: example("models/student") });
    await expect(other).rejects.toMatchObject({ code: "InvalidArgument", fieldPath: "model" });
    await teacher.stop();
  });
});
