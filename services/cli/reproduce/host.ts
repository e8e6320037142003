import { serveModel } from "../models/model-server.js";
import { startOwnService } from "../own-service.js";
import { withScratch } from "../scratch.js";
import { supervisor } from "../supervise.js";
import { type Out, styleFor } from "../terminal/style.js";
import { textTable } from "../terminal/text-table.js";
import { RunsProgress } from "./runs-progress.js";

/** What the experiments need of this program: the terminal that people read, its service, its servers and its care. */
export const reproduceHost = (terminal: Out) => ({
  terminal,
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => textTable(head, rows, terminal),
  bold: (text: string) => styleFor(terminal).bold(text),
  progress: (total: number) => new RunsProgress(terminal, total),
  startService: (dataDir: string) => startOwnService({ dataDir, progress: (sentence) => terminal.write(`${sentence}\n`) }),
  serveModel: (directory: string) => serveModel(directory),
  withScratch,
  supervise: supervisor.add.bind(supervisor),
});
