import { isFoundBy } from "../../shared/flow/runs/search-runs.js";
import type { SamplesRecorded, TrainingSample } from "../../shared/gen/retort/v1/events_pb.js";
import type { ReportData, ReportedRun, Summary } from "./report-data.js";
import type { RunFilter, SampleFilter, Source } from "./source.js";

/** Runs whose data is in the page's own file. */
export class FileSource implements Source {
  readonly #runs: ReadonlyMap<string, ReportedRun>;
  readonly about: ReportData["about"];
  readonly summary: ReportData["summary"];
  readonly home: readonly string[];

  constructor({ summary, runs, about }: ReportData) {
    this.#runs = new Map(runs.map((one) => [one.run.runId, one]));
    [this.about, this.summary] = [about, summary];
    this.home = homeOf(summary, [...this.#runs.keys()]);
  }

  /** All of them: a file has no pages. */
  async runs({ search = "", state }: RunFilter) {
    const runs = [...this.#runs.values()].map(({ run }) => run);
    return { runs: runs.filter((run) => (!state || run.state === state) && isFoundBy(run, search)), next: "" };
  }

  async run(runId: string) {
    return this.#of(runId).run;
  }

  async figures(runId: string, names: readonly string[]) {
    const { figures } = this.#of(runId);
    return names.length ? { ...figures, figures: figures.figures.filter(({ name }) => names.includes(name)) } : figures;
  }

  async samples(runId: string, filter: SampleFilter) {
    return filterSamples(this.#of(runId).samples, filter);
  }

  async *watch(runId: string) {
    yield* this.#of(runId).events;
  }

  #of(runId: string): ReportedRun {
    const found = this.#runs.get(runId);
    if (!found) throw new Error(`this report holds no run ${runId}; it holds ${[...this.#runs.keys()].join(", ")}`);
    return found;
  }
}

/** What a report shows first: its summary, its only run, or its runs beside each other. */
function homeOf(summary: Summary | undefined, runIds: readonly string[]): readonly string[] {
  if (summary) return ["summary"];
  return runIds.length > 1 ? ["compare", runIds.join()] : ["run", ...runIds];
}

/** The samples that pass, newest step first, as ListSamples answers. */
export function filterSamples(steps: readonly SamplesRecorded[], filter: SampleFilter): SamplesRecorded[] {
  let left = filter.limit || 50;
  const result: SamplesRecorded[] = [];
  for (const recorded of steps.toReversed()) {
    if (!within(recorded.step, filter.firstStep, filter.lastStep)) continue;
    const samples = recorded.samples.filter((sample) => passes(sample, filter)).slice(0, left);
    left -= samples.length;
    if (samples.length) result.push({ ...recorded, samples });
    if (left === 0) break;
  }
  return result;
}

function passes({ reward, tokens, finished }: TrainingSample, filter: SampleFilter): boolean {
  const rewarded = filter.minReward === undefined && filter.maxReward === undefined;
  if (!rewarded && (reward === undefined || !within(reward, filter.minReward, filter.maxReward))) return false;
  return within(tokens.length, filter.minTokens, filter.maxTokens) && (filter.finished === undefined || filter.finished === finished);
}

const within = (value: number, least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY): boolean =>
  value >= least && value <= most;
