import { exposeWorker } from "../shared/base/workers.js";
import { TextRewards } from "./text-rewards.js";

exposeWorker(new TextRewards());
