import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

const rootDir = fileURLToPath(new URL("..", import.meta.url));
const compiled = "<rootDir>/dist/test";

/** The projects, each a folder of test/, with what runs once before it. */
const setups = {
  unit: undefined,
  golden: undefined,
  long: undefined,
  fuzz: undefined,
  integration: `${compiled}/support/jest/integration-setup.js`,
  e2e: undefined,
  chart: `${compiled}/chart/support/setup.js`,
  browser: undefined,
};

/** The projects' names; `long` runs only when it is named. */
export const projects = Object.keys(setups);

/** Jest's configuration: compiled tests, as native modules. */
export default {
  rootDir,
  reporters: ["default", `${compiled}/support/jest/summary-reporter.js`],
  // A machine that is busy with other things takes several times as long; a hang costs as much.
  testTimeout: 300_000,
  // What test files leave in a worker's heap is never freed, and a large one takes longer to end than jest waits for it.
  workerIdleMemoryLimit: "400MB",
  // Many tests start processes of their own.
  maxWorkers: Math.max(2, Math.floor(availableParallelism() / 2)),
  projects: Object.entries(setups).map(([displayName, globalSetup]) => ({
    displayName,
    rootDir,
    globalSetup,
    testMatch: [`${compiled}/${displayName}/**/*.test.js`],
    testEnvironment: `${compiled}/support/jest/suite-environment.js`,
    transform: {},
  })),
};
