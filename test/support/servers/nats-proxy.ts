import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What the proxy does to a client's bytes: passes them on, loses them, or keeps each piece so many milliseconds. */
export type Weather = { readonly kind: "clear" } | { readonly kind: "lost" } | { readonly kind: "late"; readonly ms: number };

const clear: Weather = { kind: "clear" };

/** One client's connection and the server's end of it. */
interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** The client's name up to its number, such as "student", once it has said it. */
  name: string | undefined;
  /** True once bytes were lost: what follows them would be no protocol any more. */
  torn: boolean;
}

/**
 * A network between clients and a nats-server, on a port of its own, that can be bad for one kind of client alone: each says
 * who it is when it connects.
 */
export class NatsProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #weather = new Map<string, Weather>();

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (client) => this.#accept(client, target));
  }

  /** @param target port of the nats-server on this machine */
  static async start(target: number): Promise<NatsProxy> {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new NatsProxy(server, target);
  }

  /** From now on the weather for clients of this name, or for "*", those that have none of their own. */
  set(name: string, weather: Weather): void {
    this.#weather.set(name, weather);
    if (weather.kind === "lost") return;
    for (const link of this.#links) if (link.torn && this.#of(link).kind !== "lost") destroy(link);
  }

  /** The weather is fine again; connections that lost bytes end. */
  clear(): void {
    this.#weather.clear();
    for (const link of this.#links) if (link.torn) destroy(link);
  }

  /** Ends the connections of clients of this name ("*": of all); they may connect again at once. Returns how many there were. */
  cut(name: string): number {
    const found = [...this.#links].filter((link) => name === "*" || link.name === name);
    found.forEach(destroy);
    return found.length;
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const link of this.#links) destroy(link);
    await once(this.#server, "close");
  }

  #of({ name }: Link): Weather {
    // Who has not said its name yet is let through so far: the server speaks first.
    return (name && (this.#weather.get(name) ?? this.#weather.get("*"))) || clear;
  }

  #accept(client: Socket, target: number): void {
    const server = connect({ port: target, host: "127.0.0.1", noDelay: true });
    const link: Link = { client, server, name: undefined, torn: false };
    this.#links.add(link);
    for (const socket of [client, server]) {
      socket.on("error", () => destroy(link));
      socket.on("close", () => {
        destroy(link);
        this.#links.delete(link);
      });
    }
    void this.#relay(link, client, server, true);
    void this.#relay(link, server, client, false);
  }

  async #relay(link: Link, from: Socket, to: Socket, named: boolean): Promise<void> {
    try {
      for await (const piece of from as AsyncIterable<Buffer>) {
        if (named) link.name ??= nameIn(piece);
        const weather = this.#of(link);
        if (weather.kind === "late") await sleep(weather.ms);
        if (weather.kind === "lost") link.torn = true;
        else if (!link.torn && !to.write(piece)) await once(to, "drain");
      }
    } catch {
      // Both ends are closed when either breaks.
    }
    destroy(link);
  }
}

/** The kind of client in NATS's first message, `CONNECT {"name":"student-0/run", …}`: "student". */
function nameIn(piece: Buffer): string | undefined {
  const name = /^CONNECT .*?"name":"([a-z]+)/.exec(piece.toString("latin1"))?.[1];
  return name ?? "unnamed";
}

function destroy({ client, server }: Link): void {
  client.destroy();
  server.destroy();
}
