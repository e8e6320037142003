import { deferred } from "../../../services/shared/base/deferred.js";
import { createLog } from "../../../services/shared/base/log.js";
import { Places } from "../../../services/teacher/places.js";

const log = createLog("test", { level: "silent", format: "json" });
const member = { runId: "run", teacher: "default" };
const other = { runId: "other", teacher: "default" };

/** Lets everything that is ready to go on do so. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("Places", () => {
  /** Work that ends when the test says so, whatever the signal; what it did is noted. */
  const bench = () => {
    const noted: string[] = [];
    const ends: (() => void)[] = [];
    const places = new Places(async ({ runId }) => {
      const number = ends.length;
      const end = deferred<void>();
      ends.push(end.resolve);
      noted.push(`${runId} ${number} begins`);
      await end.promise;
      noted.push(`${runId} ${number} ends`);
    }, log);
    places.begin();
    return { places, noted, ends };
  };

  it("has a run that leaves and joins again at once wait until its old place is finished with", async () => {
    const { places, noted, ends } = bench();
    for (const members of [[member], [], [member], [], [member]]) {
      places.update(members);
      await settled();
    }
    expect(noted).toEqual(["run 0 begins"]);
    ends[0]?.();
    await settled();
    expect(noted).toEqual(["run 0 begins", "run 0 ends", "run 1 begins"]);
  });

  it("keeps no run from joining while another's place is finished with", async () => {
    const { places, noted } = bench();
    for (const members of [[member], [], [other]]) {
      places.update(members);
      await settled();
    }
    expect(noted).toEqual(["run 0 begins", "other 1 begins"]);
  });

  it("is closed when every place is finished with, those that runs have left among them", async () => {
    const { places, noted, ends } = bench();
    places.update([member, other]);
    await settled();
    places.update([other]);
    const closed = places.close().then(() => noted.push("closed"));
    await settled();
    ends[1]?.();
    await settled();
    expect(noted).not.toContain("closed");
    ends[0]?.();
    await closed;
    expect(noted.slice(2)).toEqual(["other 1 ends", "run 0 ends", "closed"]);
  });
});
