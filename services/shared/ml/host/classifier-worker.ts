import { exposeWorker } from "../../base/workers.js";
import { ClassifierHost } from "./classifier-host.js";

exposeWorker(new ClassifierHost());
