import { isLoopback } from "../../../../../services/shared/base/paths.js";
import { foreignAddress, foreignToken, isForeignAddress, strayToken } from "../../../../../services/shared/base/rpc/foreign-address.js";

const settings = (tokenHosts: string, tokenPlaintext = false) => ({ token: "secret", tokenHosts, tokenPlaintext });
const tokenFor = (address: string, rules: { token: string | undefined; tokenHosts: string; tokenPlaintext: boolean }) =>
  foreignToken(foreignAddress(address, "reward"), "reward", rules);

describe("foreignToken()", () => {
  it.each([
    ["https://judge.example:443", "judge.example:443", "secret"],
    ["https://JUDGE.example:443", "other:1, judge.EXAMPLE:443 ,", "secret"],
    ["127.0.0.1:80", "127.0.0.1:80", "secret"],
    ["[::1]:80", "[::1]:80", "secret"],
    ["localhost:80", "localhost:80", "secret"],
    ["https://judge.example:444", "judge.example:443", undefined],
    ["https://judge.example.evil:443", "judge.example:443", undefined],
    ["https://evil:443", "", undefined],
    ["127.0.0.1:80", "", undefined],
  ])("for %s with hosts %p is %p", (address, hosts, token) => {
    expect(tokenFor(address, settings(hosts))).toBe(token);
  });

  it.each(["judge.example:80", "10.0.0.1:80", "127.0.0.1.evil.example:80", "localhost.evil.example:80", "[::2]:80"])(
    "never goes to %s in plain text, unless the operator says so",
    (address) => {
      expect(() => tokenFor(address, settings(address))).toThrow(/in plain text; give its address as https:\/\//);
      expect(tokenFor(address, settings(address, true))).toBe("secret");
      expect(tokenFor(`https://${address}`, settings(address))).toBe("secret");
    },
  );

  it("is none where there is none", () => {
    expect(tokenFor("a:1", { ...settings("a:1"), token: undefined })).toBeUndefined();
  });
});

describe("foreignAddress()", () => {
  it.each([
    "unix:/tmp/socket",
    "unix:80/x",
    "dns:a:1",
    "http://a:1",
    "a",
    "a:",
    ":1",
    "a:1:2",
    "user@a:1",
    "a b:1",
    "https://a:1/x",
    "ipv4:1.1.1.1:1",
  ])("refuses %p", (text) => {
    expect(() => foreignAddress(text, "environment")).toThrow(/isn't the address of a server \(environment\)/);
    expect(isForeignAddress(text)).toBe(false);
  });
});

describe("isLoopback()", () => {
  it.each([
    ["127.9.9.9", true],
    ["[::1]", true],
    ["localhost", true],
    ["127.0.0.1.evil", false],
    ["0.0.0.0", false],
    ["[::]", false],
  ])("of %s is %p", (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});

describe("strayToken()", () => {
  const rules = { token: "secret", tokenHosts: " , ", tokenPlaintext: false };

  it("says which setting names the servers that get a token, where none does", () => {
    expect(strayToken(rules, "environment")).toBe(
      "the environment token goes nowhere: name the environment servers that get it with --environment-token-hosts",
    );
    expect(strayToken(rules, "reward")).toContain("--reward-token-hosts");
  });

  it("says nothing of one that goes somewhere, or where there is none", () => {
    expect(strayToken({ ...rules, tokenHosts: "a:1" }, "reward")).toBeUndefined();
    expect(strayToken({ ...rules, token: undefined }, "reward")).toBeUndefined();
  });
});
