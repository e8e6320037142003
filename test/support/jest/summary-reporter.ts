import type { AggregatedResult, Reporter } from "@jest/reporters";

/** Closes a run with the plain line "N passed, N failed", which any tool can read. */
export default class SummaryReporter implements Pick<Reporter, "onRunComplete"> {
  onRunComplete(_contexts: unknown, results: AggregatedResult): void {
    const skipped = results.numPendingTests ? `, ${results.numPendingTests} skipped` : "";
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    // At exit, so that nothing is printed after it.
    process.once("exit", () => console.log(`\n${results.numPassedTests} passed, ${failed} failed${skipped}`));
  }
}
