import { redactUrl } from "../../../../services/shared/base/redact-url.js";

describe("redactUrl()", () => {
  it.each([
    ["nats://127.0.0.1:4222", "nats://127.0.0.1:4222"],
    ["nats://user:pass@host:4222", "nats://***@host:4222"],
    ["tls://token@host", "tls://***@host"],
    ["user:pass@host:4222", "***@host:4222"],
    ["nats://a:b@one:1,nats://c:d@two:2", "nats://***@one:1,nats://***@two:2"],
    ["nats://one:1,nats://c:d@two:2", "nats://one:1,nats://***@two:2"],
    ["nats://one:1,two:2", "nats://one:1,two:2"],
    ["nats://user:p@ss/wo,rd@host", "nats://***@host"],
    ["http://key:secret@s3.example:9000/path", "http://***@s3.example:9000/path"],
    ["", ""],
  ])("shows %s as %s", (url, shown) => {
    expect(redactUrl(url)).toBe(shown);
  });
});
