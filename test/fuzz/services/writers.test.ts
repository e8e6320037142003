import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { create, type Message } from "@bufbuild/protobuf";
import type { RoleParts } from "../../../services/shared/base/role.js";
import { toRecord } from "../../../services/shared/flow/arrays.js";
import {
  type SampleRequest,
  SampleRequestSchema,
  StudentServiceGetStatusRequestSchema,
} from "../../../services/shared/gen/retort/v1/student_pb.js";
import {
  ScoreRequestSchema,
  TeacherServiceDescribeRequestSchema,
  type TeacherServiceSampleRequest,
  TeacherServiceSampleRequestSchema,
} from "../../../services/shared/gen/retort/v1/teacher_pb.js";
import { studentSettings } from "../../../services/student/config.js";
import { studentRole } from "../../../services/student/role.js";
import { teacherSettings } from "../../../services/teacher/config.js";
import { teacherRole } from "../../../services/teacher/role.js";
import { roleParts } from "../../support/fuzz/roles.js";
import { ServiceFuzz } from "../../support/fuzz/service-fuzz.js";

const model = resolve("deploy/examples/num2words/models/student");
const sampling = { temperature: 0.7, maxNewTokens: 6 };
const [prompt, completion] = [toRecord(Int32Array.of(1, 12, 13)), toRecord(Int32Array.of(20, 21, 2))];
const samples = [
  create(SampleRequestSchema, { prompts: [{ input: { case: "text", value: "12=" } }], sampling, seed: 5n }),
  create(SampleRequestSchema, { prompts: [{ input: { case: "ids", value: prompt } }], sampling, samplesPerPrompt: 2 }),
];
/** A conversation, which this model has no template for: refused, and a start for changes. */
const spoken = create(SampleRequestSchema, {
  prompts: [{ input: { case: "conversation", value: { messages: [{ role: "user", content: "12" }], tools: "[]" } } }],
  sampling,
  chat: { chat: true, system: "be brief", chatTemplateKwargs: { thinking: false } },
});

/** Few and short completions, so that a case is cheap; numbers beyond the bounds stay, to be refused. */
function cheap(request: SampleRequest | undefined): true {
  if (!request) return true;
  if (request.samplesPerPrompt > 2 && request.samplesPerPrompt <= 1024) request.samplesPerPrompt = 2;
  if (request.sampling?.maxNewTokens !== undefined && request.sampling.maxNewTokens > 8 && request.sampling.maxNewTokens <= 2 ** 20)
    request.sampling.maxNewTokens = 8;
  if (request.sampling && request.sampling.maxNewTokens === undefined) request.sampling.maxNewTokens = 8;
  return true;
}

/** The sum of a stream's pieces: how they are cut depends on time. */
const whole = (answers: readonly Message[]): unknown => {
  const pieces = answers as unknown as readonly { piece?: { text: string }; text?: string }[];
  return pieces.some((answer) => answer.text !== undefined || answer.piece)
    ? pieces.map((answer) => answer.text ?? answer.piece?.text).join("")
    : answers;
};

describe.each([["student"], ["teacher"]] as const)("the service of a %s, asked with anything", (role) => {
  let directory: string;
  let parts: RoleParts;
  let fuzzed: ServiceFuzz;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-fuzz-"));
    const argv = ["--model", model, "--threads", "1", "--data-dir", directory];
    parts = role === "student" ? roleParts(role, studentSettings, studentRole, argv) : roleParts(role, teacherSettings, teacherRole, argv);
    for (const service of parts.before) await service.start?.();
    const implementation = parts.implementations[0]!;
    fuzzed = new ServiceFuzz({
      implementation,
      good:
        role === "student"
          ? { sample: [...samples, spoken], getStatus: [create(StudentServiceGetStatusRequestSchema)] }
          : {
              sample: [...samples, spoken].map((request) => create(TeacherServiceSampleRequestSchema, { request })),
              describe: [create(TeacherServiceDescribeRequestSchema)],
              score: scores,
            },
      tame: (method, request) =>
        method.name !== "Sample" ||
        cheap(role === "student" ? (request as SampleRequest) : (request as TeacherServiceSampleRequest).request),
      lasting: (method, answers) => (method.name === "Sample" ? whole(answers) : answers),
    });
    await fuzzed.start();
  });
  afterAll(async () => {
    await fuzzed.stop();
    for (const service of parts.before) await service.stop?.();
    await rm(directory, { recursive: true });
  });

  it("answers, or refuses by name, and goes on as before", () => fuzzed.run(900));
});

const scores = (
  [
    { kind: "full", k: 0 },
    { kind: "top_k", k: 3 },
    { kind: "random_k", k: 5 },
    { kind: "hidden", k: 0 },
    { kind: "sampled", k: 0 },
    { kind: "student_top_k", k: 2 },
  ] as const
).map((signal) =>
  create(ScoreRequestSchema, {
    signal: { ...signal, temperature: 1 },
    sequences: [
      {
        prompt: { input: { case: "ids", value: prompt } },
        completion: { case: "ids", value: completion },
        ...(signal.kind === "student_top_k" ? { studentTopIds: toRecord(Int32Array.of(3, 4, 5, 6, 7, 8), [3, 2]) } : {}),
      },
      ...(signal.kind === "student_top_k"
        ? []
        : [{ prompt: { input: { case: "text" as const, value: "7=" } }, completion: { case: "text" as const, value: "seven" } }]),
    ],
  }),
);
