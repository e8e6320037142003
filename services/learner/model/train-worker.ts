import { exposeWorker } from "../../shared/base/workers.js";
import { TrainHost } from "./train-host.js";

exposeWorker(new TrainHost());
