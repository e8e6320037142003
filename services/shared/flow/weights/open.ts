import { join } from "node:path";
import { RetortError } from "../../base/errors.js";
import type { ProcessSettings } from "../../base/settings.js";
import type { Streams } from "../../base/streams/connection.js";
import { DirectoryStore } from "./directory-store.js";
import { NatsStore } from "./nats-store.js";
import type { WeightStore } from "./store.js";

/** The weight store that the settings name: all processes of a run must name the same. */
export async function openWeightStore(
  { weightStore, weightUrl, oneMachine, s3Endpoint, dataDir }: ProcessSettings,
  streams: Streams,
): Promise<WeightStore> {
  const directory = join(dataDir, "weights");
  switch (weightStore) {
    case "directory":
      return new DirectoryStore(directory, { oneMachine });
    case "nats":
      return new NatsStore(streams, directory);
    case "s3":
      if (!weightUrl) throw new RetortError("InvalidArgument", "--weight-store s3 needs --weight-url s3://bucket/prefix");
      // The client of S3 is large; only who needs it waits for it.
      return new (await import("./s3-store.js")).S3Store({ url: weightUrl, endpoint: s3Endpoint, scratch: directory });
  }
}
