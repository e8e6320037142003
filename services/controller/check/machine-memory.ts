import { memoryLimit } from "../../shared/base/memory-limit.js";

/** Bytes of memory that the roles of a run share; undefined in a cluster, where each role's pod has a node of its own choice. */
export const machineMemory = (): number | undefined => (process.env.KUBERNETES_SERVICE_HOST === undefined ? memoryLimit() : undefined);
