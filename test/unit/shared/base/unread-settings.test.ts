import { z } from "zod";
import { controllerSettings } from "../../../../services/controller/config.js";
import { learnerSettings } from "../../../../services/learner/config.js";
import { rewardSettings } from "../../../../services/reward/config.js";
import { readSettings, unreadVariables } from "../../../../services/shared/base/settings.js";
import type { ReadWith } from "../../../../services/shared/base/unread-settings.js";
import { studentSettings } from "../../../../services/student/config.js";
import { teacherSettings } from "../../../../services/teacher/config.js";

const schemas = {
  controller: controllerSettings,
  learner: learnerSettings,
  reward: rewardSettings,
  student: studentSettings,
  teacher: teacherSettings,
};

describe("unreadSettings()", () => {
  it.each<[keyof typeof schemas, string, RegExp]>([
    [
      "teacher",
      "--describe-only=true --openai-port=0",
      /^settings: --openai-port: is not read with --describe-only; leave one of them out$/,
    ],
    ["teacher", "--pool=p --run=r", /--run: is not read with --pool/],
    ["teacher", "--model=m --teacher=math", /--teacher: is read only with --run; add it, or leave --teacher out/],
    ["teacher", "--model=m --score-cache-bytes=1", /--score-cache-bytes: is read only with --run or --pool/],
    ["student", "--run=r --model=m", /--model: is not read with --run/],
    ["student", "--run=r --environment-token-hosts=a:1", /is read only with --environment-token/],
    ["student", "--model=m --environment-token=t", /--environment-token: is read only with --run/],
    ["learner", "--model=m --index=1", /--index: is read only with --run/],
    ["reward", "--reward-token-plaintext=true", /is read only with --reward-token/],
    ["reward", "--tls-ca=a.pem", /--tls-ca: is read only with --tls-cert/],
    ["student", "--run=r --weight-url=s3://b/p", /--weight-url: is read only with --weight-store=s3/],
    ["controller", "--owner=me", /--owner: is read only with --launcher=kubernetes/],
    ["controller", "--launcher=kubernetes --scale-tasks-per-pod=4", /is read only with --nats-monitor/],
    ["controller", "--namespace=here", /is read only with --launcher=kubernetes or --leader-label/],
    ["controller", "--check-only=true --http-port=0 --keep-runs-days=3", /has 2 problems:.*--http-port: .*--keep-runs-days: /s],
  ])("refuses for a %s what nothing reads: %s", (role, line, message) => {
    expect(() => readSettings(schemas[role], line.split(" "), {})).toThrow(message);
  });

  it.each<[keyof typeof schemas, string]>([
    ["teacher", "--pool=p --index=0 --openai-port=0 --score-cache-bytes=1"],
    ["teacher", "--run=r --index=0 --model=m --teacher=math --openai-port=0"],
    ["teacher", "--describe-only=true --model=m --server-token-hosts=a:1"],
    ["student", "--run=r --environment-token=t --environment-token-hosts=a:1"],
    ["controller", "--launcher=kubernetes --nats-monitor=a:8222 --scale-tasks-per-pod=4 --namespace=here"],
    ["controller", "--leader-label=leads --namespace=here"],
    ["reward", "--weight-store=s3 --weight-url=s3://b/p"],
  ])("lets a %s have what is read: %s", (role, line) => {
    expect(() => readSettings(schemas[role], line.split(" "), {})).not.toThrow();
  });

  it("refuses no variable, which may be another process's, and says which isn't read", () => {
    const env = { RETORT_OWNER: "me", RETORT_KEEP_RUNS_DAYS: "3" };
    const settings = readSettings(controllerSettings, [], env);
    expect(unreadVariables(controllerSettings, settings, env)).toMatchObject([{ fieldPath: "RETORT_OWNER" }]);
  });

  it("calls a setting what it is called where it was given", () => {
    const read = () => readSettings(schemas.student, ["--model=m"], { RETORT_RUN: "r" });
    expect(read).toThrow("settings: --model: is not read with RETORT_RUN; leave one of them out");
  });

  it("goes by settings that there are", () => {
    const known = new Set(Object.values(schemas).flatMap(({ shape }) => Object.keys(shape)));
    const named = Object.values(schemas).flatMap(({ shape }) =>
      Object.values(shape).flatMap((field) => {
        const { needs = [], notWith = [] } = (z.globalRegistry.get(field as z.core.$ZodType) ?? {}) as ReadWith;
        return [...needs, ...notWith].map((condition) => condition.split("=")[0]);
      }),
    );
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !known.has(name!))).toEqual([]);
  });
});
