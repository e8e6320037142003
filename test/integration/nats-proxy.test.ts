import { Streams } from "../../services/shared/base/streams/connection.js";
import { eventually, TestNats } from "../support/servers/nats.js";
import { NatsProxy } from "../support/servers/nats-proxy.js";

// What the chaos tests stand on: a network that is bad for one kind of client alone.
describe("NatsProxy", () => {
  let nats: TestNats;
  let proxy: NatsProxy;
  let student: Streams;
  let teacher: Streams;
  beforeAll(async () => {
    nats = await TestNats.start();
    proxy = await NatsProxy.start(Number(new URL(nats.url).port));
    const url = `nats://127.0.0.1:${proxy.port}`;
    student = await Streams.connect({ url, name: "student-0/run" });
    teacher = await Streams.connect({ url, name: "teacher-default-0/run" });
  });
  afterEach(() => proxy.clear());
  afterAll(async () => {
    await Promise.all([student.connection.close(), teacher.connection.close()]);
    await proxy.stop();
    await nats.stop();
  });

  const answers = ({ connection }: Streams, timeoutMs: number): Promise<boolean> => {
    const answered = connection.rtt().then(
      () => true,
      () => false,
    );
    return Promise.race([answered, never(timeoutMs)]);
  };
  const never = (ms: number) => new Promise<boolean>((done) => setTimeout(() => done(false), ms).unref());

  it("passes everything on in clear weather", async () => {
    expect(await Promise.all([student.connection.rtt(), teacher.connection.rtt()])).toHaveLength(2);
  });

  it("loses what one kind of client says and hears, and ends its torn connection when the weather clears", async () => {
    proxy.set("student", { kind: "lost" });
    const lost = Promise.race([student.connection.rtt().then(() => "answered"), never(500).then(() => "silent")]);
    expect(await answers(teacher, 10_000)).toBe(true);
    expect(await lost).toBe("silent");
    proxy.clear();
    await eventually("the student is back", () => answers(student, 5000), 30_000);
  });

  it("keeps what a client says as long as it is told", async () => {
    await student.connection.rtt();
    proxy.set("*", { kind: "late", ms: 200 });
    expect(await student.connection.rtt()).toBeGreaterThanOrEqual(390);
  });

  it("cuts the connections of one kind, which come back", async () => {
    expect(proxy.cut("student")).toBe(1);
    await eventually("the student is back", () => answers(student, 5000), 30_000);
    expect(proxy.cut("nobody")).toBe(0);
  });
});
