import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";

/** Time between two tries, in milliseconds. */
export const pauseMs = 500;

/** What a controller that ends, has ended or just starts answers. */
export const isAway = (error: unknown): boolean => {
  const { code } = ConnectError.from(error);
  return code === Code.Unavailable || code === Code.Canceled || code === Code.Aborted;
};

/** Does work that may be repeated, until it is done or the controller has been away for too long. */
export async function retrying<T>(work: () => Promise<T>, patienceMs: number): Promise<T> {
  const since = performance.now();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isAway(error) || performance.now() - since > patienceMs) throw error;
    }
    await sleep(pauseMs);
  }
}
