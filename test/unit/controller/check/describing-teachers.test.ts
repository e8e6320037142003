import { askTeacher, type TeacherServer } from "../../../../services/controller/check/ask-teacher.js";
import { DescribingTeachers } from "../../../../services/controller/check/describing-teachers.js";
import { RetortError } from "../../../../services/shared/base/errors.js";
import { example } from "../../../support/runs/run-bench.js";

const directory = { model: example("models/teacher") };
const ask = (server: TeacherServer) => askTeacher(server, "another digest");

describe("DescribingTeachers", () => {
  it("asks one process question after question, and another one after it was lost", async () => {
    const teachers = new DescribingTeachers({ memoryMb: 512, timeoutMs: 60_000 });
    const addresses: string[] = [];
    const asked = (work: (server: TeacherServer) => Promise<unknown>) =>
      teachers.ask(directory, (server) => {
        addresses.push(server.address);
        return work(server);
      });
    expect(await asked(ask)).toMatchObject({ architecture: "llama", vocabulary: { ids: expect.arrayContaining([0]) } });
    await asked(ask);
    const broken = asked(() => Promise.reject(new RetortError("Unavailable", "the connection broke")));
    await expect(broken).rejects.toThrow("the connection broke");
    await asked(ask);
    const [first, ...others] = addresses;
    expect(others.map((address) => address === first)).toEqual([true, true, false]);
  });

  it("says so when a process needs more memory than it may have", async () => {
    const teachers = new DescribingTeachers({ memoryMb: 10, timeoutMs: 60_000 });
    await expect(teachers.ask(directory, ask)).rejects.toMatchObject({
      code: "ResourceExhausted",
      retry: "never",
      message: expect.stringContaining("10 MiB of memory"),
    });
  });

  it("answers no caller that does not know the token", async () => {
    const teachers = new DescribingTeachers({ memoryMb: 512, timeoutMs: 60_000 });
    const stranger = teachers.ask(directory, (server) => ask({ ...server, token: "guess" }));
    await expect(stranger).rejects.toMatchObject({ code: "Unauthenticated" });
  });
});
