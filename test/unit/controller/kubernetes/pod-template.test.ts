import { stringify } from "yaml";
import { parsePodTemplates, templateOf } from "../../../../services/controller/kubernetes/pod-template.js";

const pod = (extra: object = {}) => ({ spec: { containers: [{ name: "retort", image: "retort:1" }], ...extra } });
const all = { learner: pod(), reward: pod(), student: pod({ nodeSelector: { gpu: "yes" } }), teacher: pod() };

describe("parsePodTemplates()", () => {
  it("gives a template per role and keeps what it does not know", () => {
    const templates = parsePodTemplates(stringify(all), "file");
    expect(templates.student.spec).toEqual({ containers: [{ name: "retort", image: "retort:1" }], nodeSelector: { gpu: "yes" } });
  });

  it.each([
    ["a role that is missing", { ...all, teacher: undefined }, /teacher/],
    ["a role that does not exist", { ...all, pupil: pod() }, /pupil/],
    [
      "a container without an image",
      { ...all, reward: { spec: { containers: [{ name: "retort" }] } } },
      /reward\.spec\.containers\.0\.image/,
    ],
    [
      "no container of the role",
      { ...all, learner: { spec: { containers: [{ name: "main", image: "x" }] } } },
      /learner\.spec\.containers: needs exactly one container named "retort"/,
    ],
    ["nothing", undefined, /the pod templates in file/],
  ])("refuses %s by its path", (_, value, message) => {
    expect(() => parsePodTemplates(stringify(value), "file")).toThrow(message);
  });

  it("refuses what is not YAML", () => {
    expect(() => parsePodTemplates("a: [", "file")).toThrow(/the pod templates in file are not YAML/);
  });
});

describe("templateOf()", () => {
  const h100 = { ...all, teacher: pod({ nodeSelector: { gpu: "h100" } }) };
  const templates = parsePodTemplates(stringify({ ...all, profiles: { h100 } }), "file");

  it("is the role's, or its profile's", () => {
    expect(templateOf(templates, "teacher").spec.nodeSelector).toBeUndefined();
    expect(templateOf(templates, "teacher", "h100").spec.nodeSelector).toEqual({ gpu: "h100" });
    expect(templateOf(templates, "student", "h100").spec.nodeSelector).toEqual({ gpu: "yes" });
  });

  it("refuses a profile that is gone, and one that lacks a role", () => {
    expect(() => templateOf(templates, "learner", "a100")).toThrow(
      /roles\.learner\.profile is a100; the installation's profiles are: h100/,
    );
    expect(() => parsePodTemplates(stringify({ ...all, profiles: { h100: { ...h100, reward: undefined } } }), "file")).toThrow(
      /profiles\.h100\.reward/,
    );
  });
});
