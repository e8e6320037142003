import { connectController, startLocal } from "../local.js";
import { serveModel } from "../models/model-server.js";
import { supervisor } from "../supervise.js";
import { textTable } from "../text-table.js";

/** What the experiments need of this program: the terminal that people read, its service, its servers and its care. */
export const reproduceHost = (terminal: NodeJS.WritableStream & { readonly isTTY?: boolean }) => ({
  terminal,
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => textTable(head, rows, terminal),
  startService: async (directory: string) => {
    const progress = (sentence: string) => terminal.write(`${sentence}\n`);
    const { address, ended, stop } = await startLocal({ dataDir: directory, port: 0, natsPort: 0, progress });
    const controller = connectController(address);
    return {
      controller,
      ended,
      stop: async () => {
        controller.close();
        await stop();
      },
    };
  },
  serveModel: (directory: string) => serveModel(directory),
  supervise: supervisor.add.bind(supervisor),
});
