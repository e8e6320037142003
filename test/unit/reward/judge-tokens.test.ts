import { addressOf, tokenFor } from "../../../services/reward/judge-tokens.js";
import { isLoopback } from "../../../services/shared/base/paths.js";

const settings = (rewardTokenHosts: string, rewardTokenPlaintext = false) => ({
  rewardToken: "secret",
  rewardTokenHosts,
  rewardTokenPlaintext,
});

describe("tokenFor()", () => {
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
    expect(tokenFor(addressOf(address), settings(hosts))).toBe(token);
  });

  it.each(["judge.example:80", "10.0.0.1:80", "127.0.0.1.evil.example:80", "localhost.evil.example:80", "[::2]:80"])(
    "never goes to %s in plain text, unless the operator says so",
    (address) => {
      expect(() => tokenFor(addressOf(address), settings(address))).toThrow(/in plain text; give its address as https:\/\//);
      expect(tokenFor(addressOf(address), settings(address, true))).toBe("secret");
      expect(tokenFor(addressOf(`https://${address}`), settings(address))).toBe("secret");
    },
  );

  it("is none where there is none", () => {
    expect(tokenFor(addressOf("a:1"), { ...settings("a:1"), rewardToken: undefined })).toBeUndefined();
  });
});

describe("addressOf()", () => {
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
    expect(() => addressOf(text)).toThrow(/isn't the address of a reward server/);
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
