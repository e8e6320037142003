// What test/e2e/clients.test.ts runs by the packed client: node access.js ADDRESS CA_FILE OTHER_CA_FILE
import { readFileSync } from "node:fs";
import { Code, ConnectError, Retort, type RetortOptions } from "@retort/client";

const [address = "", ca = "", other = ""] = process.argv.slice(2);

async function seen(options: RetortOptions): Promise<string> {
  try {
    let runs = 0;
    for await (const _ of new Retort({ address, ...options }).list()) runs++;
    return `${runs} runs`;
  } catch (error) {
    return Code[ConnectError.from(error).code];
  }
}

const tls = { ca: readFileSync(ca) };
console.log(
  JSON.stringify({
    right: await seen({ tls, token: "secret" }),
    wrongToken: await seen({ tls, token: "guess" }),
    noToken: await seen({ tls }),
    otherAuthority: await seen({ tls: { ca: readFileSync(other) }, token: "secret" }),
    plaintext: await seen({ token: "secret" }),
    nobody: await seen({ address: "127.0.0.1:1" }),
  }),
);
