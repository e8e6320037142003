import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ControllerClient } from "../../../../services/cli/local.js";
import { followRun } from "../../../../services/cli/runs/follow-run.js";
import { RetortError } from "../../../../services/shared/base/errors.js";
import { WatchRunResponseSchema } from "../../../../services/shared/gen/retort/v1/controller_pb.js";
import type { RunEvent, RunEventSchema } from "../../../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../../../services/shared/gen/retort/v1/run_pb.js";

type Event = MessageInitShape<typeof RunEventSchema>;
const step = (sequence: number): Event => ({ sequence: BigInt(sequence), event: { case: "stepFinished", value: { step: sequence } } });
const warning = (sequence: number, message: string): Event => ({
  sequence: BigInt(sequence),
  event: { case: "warning", value: { message } },
});
const away = () => new RetortError("Unavailable", "14 UNAVAILABLE");

/** A controller whose streams, one after the other, give some events and then end, or fail. Notes where each was asked to begin. */
function controllerOf(streams: readonly { events: readonly Event[]; failure?: Error; state?: RunState }[]) {
  const asked: number[] = [];
  let state = RunState.RUNNING;
  const client = {
    watchRun: async function* ({ fromSequence }: { fromSequence: bigint }) {
      const stream = streams[asked.length] ?? { events: [], state: RunState.SUCCEEDED };
      asked.push(Number(fromSequence));
      state = stream.state ?? state;
      for (const event of stream.events) yield create(WatchRunResponseSchema, { event });
      if (stream.failure) throw stream.failure;
    },
    getRun: async () => ({ run: { state } }),
  } as unknown as ControllerClient;
  return { client, asked };
}

async function followed(streams: Parameters<typeof controllerOf>[0], patienceMs?: number) {
  const { client, asked } = controllerOf(streams);
  const said: string[] = [];
  const events: RunEvent[] = [];
  const options = {
    signal: new AbortController().signal,
    say: (text: string) => said.push(text),
    ...(patienceMs === undefined ? {} : { patienceMs }),
  };
  for await (const event of followRun(client, "r", options)) events.push(event);
  return { asked, said, sequences: events.map(({ sequence }) => Number(sequence)) };
}

describe("followRun()", () => {
  it("goes on behind the last event when the controller is back, and says once that it was away", async () => {
    const { asked, said, sequences } = await followed([
      { events: [step(1), step(4)], failure: away() },
      { events: [], failure: away() },
      { events: [], failure: away() },
      { events: [step(7)], state: RunState.SUCCEEDED },
    ]);
    expect(sequences).toEqual([1, 4, 7]);
    expect(asked).toEqual([0, 5, 5, 5]);
    expect(said).toEqual([expect.stringMatching(/is away/), expect.stringMatching(/is back/)]);
  });

  it("goes on when a controller that ends in order has ended the stream of a run that goes on", async () => {
    const { sequences, asked } = await followed([{ events: [step(1)] }, { events: [step(2)], state: RunState.SUCCEEDED }]);
    expect([sequences, asked]).toEqual([
      [1, 2],
      [0, 2],
    ]);
  });

  it("loses no event that follows a warning under the same number, and repeats no warning", async () => {
    const { sequences, asked } = await followed([
      { events: [warning(3, "the beginning is gone")], failure: away() },
      { events: [warning(3, "the beginning is gone"), step(3), step(4)], state: RunState.SUCCEEDED },
    ]);
    expect([sequences, asked]).toEqual([
      [3, 3, 4],
      [0, 3],
    ]);
  });

  it("fails with what the controller answers, and when it stays away", async () => {
    await expect(followed([{ events: [], failure: new RetortError("NotFound", "no run") }])).rejects.toMatchObject({ code: "NotFound" });
    await expect(followed(Array(9).fill({ events: [], failure: away() }), 0)).rejects.toMatchObject({ code: "Unavailable" });
  });
});
