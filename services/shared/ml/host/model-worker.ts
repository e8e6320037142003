import { exposeWorker } from "../../base/workers.js";
import { ModelHost } from "./model-host.js";

exposeWorker(new ModelHost());
