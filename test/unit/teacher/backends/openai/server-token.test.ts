import { serverToken } from "../../../../../services/teacher/backends/openai/server-token.js";

const tokenEnv = "RETORT_TEACHER_TOKEN";
const rules = { env: { [tokenEnv]: "sekret" }, hosts: "", plaintext: false };

describe("serverToken()", () => {
  it.each([
    ["http://127.0.0.1:8000/v1", rules],
    ["http://[::1]:8000/v1", rules],
    ["https://api.example.org/v1", { ...rules, hosts: "gpu-1:8000, api.example.org:443" }],
    ["http://gpu-1:8000/v1", { ...rules, hosts: "gpu-1:8000", plaintext: true }],
  ])("gives it to %s", (url, given) => {
    expect(serverToken({ url, tokenEnv }, given)).toBe("sekret");
  });

  it.each([
    ["a machine that only the spec names", "https://evil.example.org/v1", rules, "RETORT_SERVER_TOKEN_HOSTS"],
    ["another port than the operator names", "https://api.example.org:8443", { ...rules, hosts: "api.example.org:443" }, "8443"],
    ["another machine in plain text", "http://gpu-1:8000", { ...rules, hosts: "gpu-1:8000" }, "RETORT_SERVER_TOKEN_PLAINTEXT"],
    ["anybody, where there is none", "http://127.0.0.1:8000", { ...rules, env: {} }, "no such variable"],
  ])("gives it not to %s", (_, url, given, words) => {
    expect(() => serverToken({ url, tokenEnv }, given)).toThrow(words);
  });

  it("is none where the spec names none", () => {
    expect(serverToken({ url: "https://api.example.org", tokenEnv: "" }, rules)).toBeUndefined();
  });
});
