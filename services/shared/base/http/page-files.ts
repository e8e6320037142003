import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { pipeline } from "node:stream/promises";

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

/** What keeps a page from loading, sending to, or being shown in anything but its own server. */
export const pageHeaders: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Names of files that a page may have: no folder, no dot in front. */
const fileName = /^\/([A-Za-z0-9][\w.-]*)$/;

/**
 * Answers with a file of a page's directory; `/` is index.html. Only plain names are looked up, so that nothing else of the machine can
 * be asked for.
 */
export async function servePage(directory: string, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const name = path === "/" ? "index.html" : fileName.exec(path)?.[1];
  const file = name && join(directory, name);
  const found = file ? await stat(file).catch(() => undefined) : undefined;
  if (request.method !== "GET" && request.method !== "HEAD") return plain(response, 405, "only GET is answered here");
  if (!file || !found?.isFile())
    return plain(response, 404, path === "/" ? "the page isn't built; run: npm run build" : "there is nothing here; the page is at /");
  const etag = `"${found.size.toString(16)}-${Math.floor(found.mtimeMs).toString(16)}"`;
  const headers = { ...pageHeaders, "cache-control": "no-cache", etag };
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, headers).end();
    return;
  }
  response.writeHead(200, { ...headers, "content-type": types[extname(file)] ?? "application/octet-stream", "content-length": found.size });
  if (request.method === "HEAD") response.end();
  else await pipeline(createReadStream(file), response);
}

function plain(response: ServerResponse, status: number, sentence: string): void {
  response.writeHead(status, { ...pageHeaders, "content-type": "text/plain; charset=utf-8" }).end(`${sentence}\n`);
}
