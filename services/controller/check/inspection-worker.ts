import { exposeWorker } from "../../shared/base/workers.js";
import { Inspection } from "./inspection-host.js";

exposeWorker(new Inspection());
