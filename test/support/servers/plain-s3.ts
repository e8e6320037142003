import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the SDK adds of its own accord and older servers refuse: checksums in headers, and bodies that end with one. */
function addition({ headers }: IncomingMessage): string | undefined {
  const name = Object.keys(headers).find((header) => /^x-amz-(checksum-|sdk-checksum-algorithm|trailer)|^trailer$/.test(header));
  if (name) return name;
  if (headers["content-encoding"]?.includes("aws-chunked")) return "aws-chunked";
  return String(headers["x-amz-content-sha256"]).startsWith("STREAMING") ? "a streaming signature" : undefined;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const failure = (code: string, message = ""): string =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;

/** A server that speaks as much of S3 as the weight store needs, and refuses what is not in the S3 of ten years ago. */
export class PlainS3 {
  readonly endpoint: string;
  /** Objects by bucket/key. */
  readonly objects: Map<string, Buffer>;
  /** What was refused. */
  readonly refused: string[];
  readonly #server: Server;

  private constructor(server: Server, objects: Map<string, Buffer>, refused: string[]) {
    this.#server = server;
    this.objects = objects;
    this.refused = refused;
    this.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(): Promise<PlainS3> {
    const [objects, refused, uploads] = [new Map<string, Buffer>(), [] as string[], new Map<string, Buffer[]>()];
    const server = createServer(async (request, response) => {
      const body = await bodyOf(request);
      const wrong = addition(request);
      if (wrong) {
        refused.push(`${request.method} ${request.url}: ${wrong}`);
        return void response.writeHead(400).end(failure("InvalidArgument", `${wrong} is not supported`));
      }
      answer(objects, uploads, request, body, response);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return new PlainS3(server, objects, refused);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

function answer(
  objects: Map<string, Buffer>,
  uploads: Map<string, Buffer[]>,
  { method, url }: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
): void {
  const { pathname, searchParams: query } = new URL(url!, "http://s3");
  const key = decodeURIComponent(pathname.slice(1));
  const upload = query.get("uploadId");
  if (method === "GET" && query.has("list-type")) {
    const prefix = `${key.replace(/\/$/, "")}/${query.get("prefix") ?? ""}`;
    const found = [...objects.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(name.indexOf("/") + 1));
    const contents = found.map((name) => `<Contents><Key>${name}</Key></Contents>`).join("");
    response.end(`<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${contents}</ListBucketResult>`);
  } else if (method === "GET") {
    const object = objects.get(key);
    if (object) response.setHeader("content-length", object.length).end(object);
    else response.writeHead(404).end(failure("NoSuchKey"));
  } else if (method === "PUT" && upload) {
    uploads.get(upload)![Number(query.get("partNumber")) - 1] = body;
    response.setHeader("etag", `"${query.get("partNumber")}"`).end();
  } else if (method === "PUT") {
    objects.set(key, body);
    response.setHeader("etag", '"whole"').end();
  } else if (method === "POST" && query.has("uploads")) {
    uploads.set(key, []);
    response.end(`<?xml version="1.0"?><InitiateMultipartUploadResult><UploadId>${key}</UploadId></InitiateMultipartUploadResult>`);
  } else if (method === "POST" && upload) {
    objects.set(key, Buffer.concat(uploads.get(upload)!));
    response.end(`<?xml version="1.0"?><CompleteMultipartUploadResult><ETag>"parts"</ETag></CompleteMultipartUploadResult>`);
  } else if (method === "DELETE") {
    if (!upload) objects.delete(key);
    response.writeHead(204).end();
  } else response.writeHead(405).end(failure("MethodNotAllowed"));
}
