import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { ControllerClient } from "../../../services/cli/local.js";
import { filterSamples } from "../../../services/console/source/file-source.js";
import { RunHistory } from "../../../services/shared/flow/history/run-history.js";
import { thin } from "../../../services/shared/flow/history/thin.js";
import { ControllerService, type ReadFiguresResponseSchema } from "../../../services/shared/gen/retort/v1/controller_pb.js";

/** Nothing from elsewhere, nothing inline. */
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";
const types: Readonly<Record<string, string>> = {
  "/console.css": "text/css",
  "/console.js": "text/javascript",
  "/index.html": "text/html",
};

/** Serves the page, and gRPC-Web in front of a real controller, whose events it folds into figures and samples. */
export async function servePage(controller: ControllerClient): Promise<{ url: string; close(): void }> {
  const leave = new AbortController();
  const histories = new Map<string, Followed>();
  // A run that is over is read to its end first; of one that goes on, what has come.
  const history = async (runId: string): Promise<RunHistory> => {
    const known = histories.get(runId) ?? follow(controller, runId, leave.signal);
    histories.set(runId, known);
    await Promise.race([known.ended, setTimeout(1000)]);
    return known.history;
  };
  const adapter = connectNodeAdapter({
    routes: (router) =>
      router.service(ControllerService, {
        listRuns: (request) => controller.listRuns(request),
        getRun: (request) => controller.getRun(request),
        pauseRun: (request) => controller.pauseRun(request),
        resumeRun: (request) => controller.resumeRun(request),
        stopRun: (request) => controller.stopRun(request),
        validateRun: (request) => controller.validateRun(request),
        startRun: (request) => controller.startRun(request),
        watchRun: (request, { signal }) => controller.watchRun(request, { signal }),
        readFigures: async ({ runId, names, maxPoints }) => figures(await history(runId), names, maxPoints),
        listSamples: async (request) => ({ steps: filterSamples((await history(request.runId)).samples, request) }),
      }),
  });
  const server = createServer((request, response) => {
    const path = request.url === "/" ? "/index.html" : (request.url ?? "");
    const type = types[path];
    if (!type) return adapter(request, response);
    readFile(`dist/services/console${path}`).then(
      (bytes) => response.writeHead(200, { "content-type": type, "content-security-policy": policy }).end(bytes),
      (error) => response.writeHead(500).end(String(error)),
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = () => {
    leave.abort();
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close };
}

interface Followed {
  readonly history: RunHistory;
  readonly ended: Promise<void>;
}

function follow(controller: ControllerClient, runId: string, signal: AbortSignal): Followed {
  const history = new RunHistory();
  const read = async () => {
    try {
      for await (const { event } of controller.watchRun({ runId }, { signal })) if (event) history.push(event);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };
  return { history, ended: read() };
}

function figures(history: RunHistory, names: readonly string[], maxPoints: number): MessageInitShape<typeof ReadFiguresResponseSchema> {
  const asked = [...history.figures].filter(([name]) => names.length === 0 || names.includes(name));
  return { lastStep: history.step, figures: asked.map(([name, series]) => ({ name, ...thin(series, maxPoints || 1000, -1) })) };
}
