import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A network between a client and an HTTP server of this machine that can break in the middle of an answer. */
export class CuttingProxy {
  readonly port: number;
  /** Requests that went through: method, path and range. */
  readonly requests: string[] = [];
  /** After so many bytes of a connection's answers it is cut, once. */
  cutAt: number | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (client) => this.#accept(client, target));
  }

  static async start(target: number): Promise<CuttingProxy> {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new CuttingProxy(server, target);
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }

  #accept(client: Socket, target: number): void {
    const server = connect({ port: target, host: "127.0.0.1", noDelay: true });
    const ends = [client, server];
    for (const socket of ends) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        for (const end of ends) end.destroy();
      });
    }
    client.on("data", (piece: Buffer) => {
      const text = piece.toString("latin1");
      const [, method, path] = /^(GET|HEAD) (\S+) HTTP/.exec(text) ?? [];
      const range = /\r\nrange: (\S+)/i.exec(text)?.[1];
      if (method) this.requests.push([method, path, ...(range ? [range] : [])].join(" "));
      server.write(piece);
    });
    let sent = 0;
    server.on("data", (piece: Buffer) => {
      sent += piece.length;
      if (this.cutAt === undefined || sent < this.cutAt) return void client.write(piece);
      this.cutAt = undefined;
      for (const end of ends) end.destroy();
    });
  }
}
