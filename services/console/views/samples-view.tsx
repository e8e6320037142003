import { useMemo, useState } from "preact/hooks";
import { counted, nounFor } from "../../shared/base/counted.js";
import type { SamplesRecorded, TrainingSample } from "../../shared/gen/retort/v1/events_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import { number } from "../model/format.js";
import { type Measure, measuresOf, type Scale, scaleOf } from "../model/token-values.js";
import type { SampleFilter, Source } from "../source/source.js";
import { useLoaded } from "./load.js";
import { over } from "./state-badge.js";
import { ScaleLegend, Tokens } from "./tokens.js";
import { Trouble } from "./trouble.js";

/** Samples that were trained on, over steps, by filters; tokens coloured by what is measured at each. */
export function SamplesView({ source, run }: { readonly source: Source; readonly run: Run }) {
  const [filter, setFilter] = useState<SampleFilter>({});
  const [measure, setMeasure] = useState<Measure>("divergence");
  const key = `${run.runId} ${JSON.stringify(filter)}`;
  const everyMs = source.control && !over.includes(run.state) ? 5000 : 0;
  const { value: steps, error } = useLoaded(() => source.samples(run.runId, filter), key, everyMs);
  const all = useMemo(() => (steps ?? []).flatMap(({ samples }) => samples), [steps]);
  const has = measuresOf(all);
  const shown = has.includes(measure) ? measure : (has[0] ?? measure);
  const scale = useMemo(() => scaleOf(all, shown), [all, shown]);
  return (
    <section aria-label="Samples">
      <div class="tools">
        <label>
          <span class="small">Colour</span>{" "}
          <select value={shown} onChange={(event) => setMeasure(event.currentTarget.value as Measure)}>
            {has.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        {has.length > 0 && <ScaleLegend scale={scale} />}
        <Filters filter={filter} setFilter={setFilter} />
      </div>
      {error !== undefined && <Trouble error={error} />}
      {steps && !steps.length && (
        <p>
          {Object.values(filter).some((value) => value !== undefined) ? "No recorded sample passes." : "No samples have been recorded."}
        </p>
      )}
      {steps?.map((recorded) => (
        <StepSamples key={recorded.step} recorded={recorded} scale={scale} />
      ))}
    </section>
  );
}

const bounds = [
  ["firstStep", "Steps from"],
  ["lastStep", "to"],
  ["minReward", "Reward from"],
  ["maxReward", "to"],
  ["minTokens", "Tokens from"],
  ["maxTokens", "to"],
] as const;

function Filters({ filter, setFilter }: { readonly filter: SampleFilter; readonly setFilter: (filter: SampleFilter) => void }) {
  const bound = (name: keyof SampleFilter, value: number) => setFilter({ ...filter, [name]: Number.isNaN(value) ? undefined : value });
  return (
    <details class="pick">
      <summary>Filters</summary>
      <div class="choices filters">
        {bounds.map(([name, word]) => (
          <label key={name}>
            {word}{" "}
            <input
              type="number"
              step={name.endsWith("Reward") ? "any" : "1"}
              min={name.endsWith("Reward") ? undefined : "0"}
              aria-label={name.replace(/([A-Z])/g, (c) => ` ${c.toLowerCase()}`)}
              value={filter[name]}
              onChange={(event) => bound(name, event.currentTarget.valueAsNumber)}
            />
          </label>
        ))}
        <label>
          Finish{" "}
          <select onChange={(event) => setFilter({ ...filter, finished: { stop: true, length: false }[event.currentTarget.value] })}>
            <option value="">any</option>
            <option value="stop">stop token</option>
            <option value="length">length</option>
          </select>
        </label>
      </div>
    </details>
  );
}

const StepSamples = ({ recorded, scale }: { readonly recorded: SamplesRecorded; readonly scale: Scale }) => (
  <>
    <h2>Step {number(recorded.step)}</h2>
    {recorded.samples.map((sample, n) => (
      // The key: a sample is its place
      <Sample key={n} sample={sample} scale={scale} name={`sample ${n + 1} of step ${recorded.step}`} />
    ))}
  </>
);

function Sample({ sample, scale, name }: { readonly sample: TrainingSample; readonly scale: Scale; readonly name: string }) {
  const { prompt, reference, reward, finished, tokens, staleness, teacher, rewardComponents } = sample;
  const facts = [
    reward === undefined ? "" : `reward ${number(reward)}`,
    ...Object.entries(rewardComponents).map(([kind, value]) => `${kind} ${number(value)}`),
    `${number(tokens.length)} ${nounFor(tokens.length, "token")}`,
    finished ? "ended by itself" : "cut off by length",
    staleness ? `${counted(staleness, "version")} stale` : "",
    teacher && `teacher ${teacher}`,
  ];
  return (
    <article class="sample" aria-label={name}>
      <p class="small num">{facts.filter(Boolean).join(" · ")}</p>
      <p class="prompt">{prompt}</p>
      <Tokens sample={sample} scale={scale} name={`completion, ${name}`} />
      {reference && (
        <p>
          <span class="small">reference</span> {reference}
        </p>
      )}
    </article>
  );
}
