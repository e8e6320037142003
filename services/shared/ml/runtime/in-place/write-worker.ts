import { exposeWorker } from "../../../base/workers.js";
import { RowsWriter } from "./write-rows.js";

exposeWorker(new RowsWriter());
