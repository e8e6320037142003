import { join } from "node:path";
import type { ProcessSettings } from "../../base/settings.js";
import type { Streams } from "../../base/streams/connection.js";
import { DirectoryStore } from "./directory-store.js";
import { NatsStore } from "./nats-store.js";
import type { WeightStore } from "./store.js";

/** The weight store that the settings name: all processes of a run must name the same. */
export function openWeightStore({ weightStore, dataDir }: ProcessSettings, streams: Streams): WeightStore {
  return weightStore === "nats" ? new NatsStore(streams) : new DirectoryStore(join(dataDir, "weights"));
}
