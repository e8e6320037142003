import type { ComponentChildren } from "preact";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import type { MemorySaving, RunEstimate } from "../../shared/gen/retort/v1/estimate_pb.js";
import { short } from "../model/format.js";
import { Scroll } from "./scroll.js";

/** What a run is expected to take, before it is started. */
export function PlanView({ estimate }: { readonly estimate: RunEstimate }) {
  const { disk, evaluation, streamBytes } = estimate;
  return (
    <section class="plan">
      <h2>What it will take</h2>
      <Roles estimate={estimate} />
      <Fit estimate={estimate} />
      <Phases estimate={estimate} />
      {evaluation && (
        <p>
          {short(evaluation.evaluations)} evaluations of {short(evaluation.completions)} completions, {short(evaluation.completionTokens)}{" "}
          tokens each at most.
        </p>
      )}
      {disk && (
        <p>
          {bytes(disk.totalBytes)} of disk at most: {disk.checkpoints} checkpoints of {bytes(disk.checkpointBytes)}, {disk.versions}{" "}
          versions of {bytes(disk.versionBytes)} besides the first ({bytes(disk.firstVersionBytes)}), and the trained student (
          {bytes(disk.outputBytes)}). {bytes(streamBytes)} in NATS.
        </p>
      )}
      <p class="small">
        <code>retort plan SPEC --probe</code> measures how long it takes.
      </p>
    </section>
  );
}

const bytes = (value: bigint): string => bytesInWords(Number(value));

const Roles = ({ estimate: { roles } }: { readonly estimate: RunEstimate }) => (
  <Table name="Roles" head={["role"]} numbers={["memory", "parameters", "trained", "processes", "weights"]}>
    {roles.map(({ role, teacher, dtype, device, processes, parameters, trainedParameters, memoryBytes }) => (
      <tr key={`${role}${teacher}`}>
        <th scope="row">{role === "teacher" && teacher !== "default" ? `${role} ${teacher}` : role}</th>
        <td class="num">{bytes(memoryBytes)}</td>
        <td class="num">{short(parameters)}</td>
        <td class="num">{trainedParameters ? short(trainedParameters) : "–"}</td>
        <td class="num">{processes}</td>
        <td class="num">{device === "cpu" ? dtype : `${dtype} on ${device}`}</td>
      </tr>
    ))}
  </Table>
);

const Phases = ({ estimate: { phases } }: { readonly estimate: RunEstimate }) => (
  <Table
    name="A step of each phase"
    head={["phase"]}
    numbers={["steps", "sequences", "completion tokens", "prompt tokens", "through NATS"]}
  >
    {phases.map(({ name, firstStep, lastStep, sequences, completionTokens, promptTokens, streamBytes }) => (
      <tr key={firstStep}>
        <th scope="row">{name}</th>
        <td class="num">{short(lastStep - firstStep + 1)}</td>
        <td class="num">{short(sequences)}</td>
        <td class="num">≤ {short(completionTokens)}</td>
        <td class="num">{promptTokens === undefined ? "–" : short(promptTokens)}</td>
        <td class="num">{bytes(streamBytes)}</td>
      </tr>
    ))}
  </Table>
);

interface TableProps {
  readonly name: string;
  readonly head: readonly string[];
  readonly numbers: readonly string[];
  readonly children: ComponentChildren;
}

const Table = ({ name, head, numbers, children }: TableProps) => (
  <Scroll name={name}>
    <table>
      <thead>
        <tr>
          {head.map((title) => (
            <th key={title} scope="col">
              {title}
            </th>
          ))}
          {numbers.map((title) => (
            <th key={title} scope="col" class="num">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  </Scroll>
);

/** Whether the machine that the roles share has room for them, and what would take less where it hasn't. */
function Fit({ estimate: { memoryBytes, machineMemoryBytes, savings } }: { readonly estimate: RunEstimate }) {
  if (machineMemoryBytes === undefined) return null;
  const both = `${bytes(memoryBytes)} of the machine's ${bytes(machineMemoryBytes)} of memory`;
  if (memoryBytes <= machineMemoryBytes) return <p>{both}.</p>;
  return (
    <>
      <p class="trouble">{both}: it doesn't fit.</p>
      <ul aria-label="Settings that take less memory">
        {savings.map((saving) => (
          <Saving key={`${saving.field}${saving.value}`} saving={saving} enough={saving.savedBytes >= memoryBytes - machineMemoryBytes} />
        ))}
      </ul>
    </>
  );
}

const Saving = ({ saving: { field, value, savedBytes }, enough }: { readonly saving: MemorySaving; readonly enough: boolean }) => (
  <li>
    <code>
      {field}: {value}
    </code>{" "}
    takes {bytes(savedBytes)} less{enough && ", which is enough"}
  </li>
);
