import { KeptRunning, type Part } from "../../../services/cli/keep-running.js";
import { eventually } from "../../support/servers/nats.js";

/** A part that ends when it is told to. */
class FakePart implements Part {
  readonly ended: Promise<string>;
  end!: (reason: string) => void;
  constructor() {
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }
  stop = async () => this.end("stopped");
  kill = () => this.end("killed");
}

describe("KeptRunning", () => {
  const begun: FakePart[] = [];
  const said: string[] = [];
  beforeEach(() => {
    begun.length = 0;
    said.length = 0;
  });
  const begin = async () => {
    const part = new FakePart();
    begun.push(part);
    return part;
  };
  const start = (more = {}) =>
    KeptRunning.start({ name: "the part", begin, say: (sentence) => said.push(sentence), maxDeaths: 3, backoffMs: 1, ...more });

  it("starts it again when it ends by itself, and says so", async () => {
    const kept = await start();
    begun[0]!.end("code 1");
    await eventually("it runs again", () => said.length === 2);
    expect(said).toEqual(["the part ended (code 1); starting it again", "the part runs again"]);
    expect(kept.current).toBe(begun[1]);
    await kept.stop();
  });

  it("gives up a start that is still on when it is stopped", async () => {
    let starts = 0;
    const kept = await start({
      begin: (_: unknown, stopped: AbortSignal) => {
        if (++starts === 1) return begin();
        return new Promise((_, reject) => stopped.addEventListener("abort", () => reject(new Error("given up"))));
      },
    });
    begun[0]!.end("code 1");
    await eventually("it starts again", () => starts === 2);
    await kept.stop();
    expect([starts, said]).toEqual([2, ["the part ended (code 1); starting it again"]]);
  });

  it("gives up with the last reason when it ends too often, also in its start", async () => {
    let starts = 0;
    const kept = await start({
      begin: async () => {
        if (++starts === 3) throw new Error("no port");
        return begin();
      },
    });
    begun[0]!.end("code 1");
    await eventually("it runs again", () => begun.length === 2);
    begun[1]!.end("code 2");
    expect((await kept.failed).message).toMatch(/the part ended 3 times within 60 s, the last time: no port/);
  });

  it("does not give up when the ends are far apart", async () => {
    const kept = await start({ windowMs: 0 });
    for (let i = 0; i < 5; i++) {
      await eventually("it runs", () => begun.length === i + 1 && kept.current === begun[i]);
      begun[i]!.end("code 1");
    }
    await eventually("it runs", () => begun.length === 6);
    await kept.stop();
  });

  it("counts no ends for which something was missing that it waits for", async () => {
    const kept = await start({ ready: async () => true });
    for (let i = 0; i < 5; i++) {
      await eventually("it runs", () => begun.length === i + 1 && kept.current === begun[i]);
      begun[i]!.end("code 1");
    }
    await eventually("it runs", () => begun.length === 6);
    await kept.stop();
  });

  it("stops for good, also one that is just being started", async () => {
    let go!: () => void;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const kept = await start({ begin: async () => (begun.length ? held.then(begin) : begin()) });
    begun[0]!.end("code 1");
    await eventually("it is being started", () => said.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const stopped = kept.stop();
    go();
    await stopped;
    for (const part of begun) expect(await part.ended).not.toBe("");
    expect(said).toHaveLength(1);
  });
});
