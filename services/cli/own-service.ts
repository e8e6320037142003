import { type ControllerClient, connectController, type LocalOptions, type LocalService, startLocal } from "./local.js";

/** NATS and a controller that a command has for itself, and its connection to the controller. */
export interface OwnService extends Pick<LocalService, "address" | "ended"> {
  readonly controller: ControllerClient;
  /** Closes the connection, and ends both. */
  stop(): Promise<void>;
}

/**
 * Starts a controller for this command alone, and NATS unless RETORT_NATS_URL names one: on this machine's loopback, in plaintext, and with a
 * token if there is one, whatever the environment says of how this user's servers are reached.
 *
 * @param options `token` is what callers must know; default: RETORT_TOKEN, and none where that isn't set
 * @throws as `startLocal`
 */
export async function startOwnService(options: Omit<LocalOptions, "port" | "natsPort" | "tenants">): Promise<OwnService> {
  const { token = process.env.RETORT_TOKEN ?? "" } = options;
  const { address, ended, stop } = await startLocal({ ...options, token, port: 0, natsPort: 0 });
  const controller = connectController(address, token ? { token } : {});
  return {
    ...{ address, ended, controller },
    stop: async () => {
      controller.close();
      await stop();
    },
  };
}
