import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import type { Server, Socket } from "node:net";
import { createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { RetortError } from "../errors.js";
import type { Service } from "../lifecycle.js";
import { listen } from "../listen.js";
import type { Log } from "../log.js";
import { isLoopback } from "../paths.js";
import { CallGate, scopesOf } from "../rpc/access.js";
import type { Implementation } from "../rpc/handlers.js";
import type { RpcServerOptions } from "../rpc/server.js";
import { connectRoutes, toConnectError } from "./connect-routes.js";
import { pageHeaders, servePage } from "./page-files.js";

/** Where and how an edge listens, and whose page it serves. */
export interface HttpEdgeOptions extends Omit<RpcServerOptions, "healthPort"> {
  /** Directory of the page's files. */
  readonly page: string;
}

type Request = IncomingMessage;
type Response = ServerResponse;

/**
 * The services of a process for browsers and curl, beside its gRPC server: Connect (JSON or binary) and gRPC-Web at
 * `/PACKAGE.SERVICE/METHOD`, by the same handlers, tokens and bounds, and a page. HTTP/1.1, and with TLS HTTP/2 as well.
 *
 * A page of another origin can call nothing here: calls that a browser sends for it name their origin, and one that has rebound a
 * name of its own to this machine names that as the host.
 */
export class HttpEdge implements Service {
  readonly name = "http";
  readonly #options: HttpEdgeOptions;
  readonly #gate: CallGate;
  readonly #methods: ReadonlyMap<string, UniversalHandler>;
  readonly #server: Server;
  readonly #log: Log;
  readonly #sockets = new Set<Socket>();
  port = 0;

  constructor(implementations: readonly Implementation[], options: HttpEdgeOptions, log: Log) {
    const { maxMessageBytes, access, tls } = options;
    this.#options = options;
    this.#log = log;
    this.#gate = new CallGate(scopesOf(implementations.map(({ service }) => service)), { grants: [], maxCalls: 1000, ...access });
    const bounds = { readMaxBytes: maxMessageBytes, writeMaxBytes: maxMessageBytes };
    const router = createConnectRouter({ grpc: false, acceptCompression: [compressionGzip, compressionBrotli], ...bounds });
    connectRoutes(implementations, log)(router);
    this.#methods = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
    const answer = (request: Request, response: Response) => void this.#answer(request, response);
    this.#server = tls
      ? createSecureServer(
          { ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: tls.ca !== undefined, allowHTTP1: true },
          answer as never,
        )
      : createServer(answer);
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  async start(): Promise<void> {
    const { host, port } = this.#options;
    this.port = await listen(this.#server, host, port, "HTTP", "--http-port");
  }

  /** Lets calls in progress end; those that outlast two seconds are cut off. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const server = this.#server as Server & { closeIdleConnections?(): void };
    server.closeIdleConnections?.();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, lingerMs);
    await closed;
    clearTimeout(timer);
  }

  async #answer(request: Request, response: Response): Promise<void> {
    try {
      const { pathname } = new URL(request.url ?? "/", "http://edge");
      const stranger = this.#stranger(request);
      if (stranger) return refuse(request, response, stranger);
      const method = this.#methods.get(pathname);
      if (!method) return await servePage(this.#options.page, pathname, request, response);
      const refused = this.#gate.enter(pathname, request.headers.authorization ?? "");
      if (refused) return refuse(request, response, refused);
      response.once("close", () => this.#gate.leave());
      for (const [name, value] of Object.entries(pageHeaders)) response.setHeader(name, value);
      this.#endUnread(request, response);
      const answer = await method(universalRequestFromNodeRequest(request, response, undefined, undefined));
      await universalResponseToNodeResponse(answer, response);
    } catch (error) {
      // The caller is gone.
      if (response.destroyed) return;
      this.#log.error({ err: error, url: request.url }, "an HTTP request failed");
      if (!response.headersSent) response.writeHead(500);
      response.end();
    }
  }

  /** Of a request that is answered before all of it is read: no other can come behind it on its connection, and the answer says so. */
  #endUnread(request: Request, response: Response): void {
    // HTTP/2 has a stream for each.
    if (request.httpVersionMajor > 1) return;
    // Browsers and curl say how much they send; of others it isn't known.
    if (!(Number(request.headers["content-length"]) <= this.#options.maxMessageBytes)) response.setHeader("connection", "close");
    const { socket } = request;
    response.once("finish", () => {
      if (!request.complete) setTimeout(() => socket.destroy(), lingerMs).unref();
    });
  }

  /** Why a request isn't one of this server's own page, nor of a program. */
  #stranger({ headers }: Request): RetortError | undefined {
    const host = headers.host ?? String((headers as Record<string, unknown>)[":authority"] ?? "");
    const name = host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
    if (isLoopback(this.#options.host) && !isLoopback(name))
      return new RetortError(
        "PermissionDenied",
        `this server is called by the name of this machine alone, as localhost, and not as ${name}`,
      );
    const { origin } = headers;
    if (origin === undefined || hostOf(origin) === host) return undefined;
    return new RetortError("PermissionDenied", "a page of another origin may not call this server");
  }
}

/** How long a caller may go on sending what isn't read any more. */
const lingerMs = 2000;

function hostOf(origin: string): string {
  try {
    return new URL(origin).host;
  } catch {
    return "";
  }
}

/** Refuses a request in its own protocol. */
function refuse({ headers }: Request, response: Response, reason: RetortError): void {
  const error = toConnectError(reason);
  if (headers["content-type"]?.startsWith("application/grpc-web")) {
    response.writeHead(200, {
      ...pageHeaders,
      ...{ "content-type": headers["content-type"], "grpc-status": error.code, "grpc-message": encodeURIComponent(error.rawMessage) },
    });
    response.end();
    return;
  }
  response.writeHead(codeToHttpStatus(error.code), { ...pageHeaders, "content-type": "application/json" });
  response.end(JSON.stringify(errorToJson(error, undefined)));
}
